// Owns the table of reasons for which a slot fired nothing: what happens next, when, and what to type.
import { table } from './reasons.ts'

const NEXT_SLOT = 'at the next slot'
const AGAIN = 'the next open slot is decided anew'

/** Of a slot; beside these only `fired`. */
export const SLOT_REASONS = table({
  fired: ['The slot began a rollout', 'the rollout goes its way', 'see the rollout', 'conduct watch'],
  'nothing-new': ['Nothing new is published', AGAIN, NEXT_SLOT, 'conduct publish DIR'],
  'none-eligible': [
    'No newer build may be released',
    'a build is taken once it has passed',
    NEXT_SLOT,
    'conduct pending',
  ],
  'too-many-changes': [
    'More changes than go without a person',
    'nothing: every slot waits until somebody releases it',
    'when somebody types it',
    'conduct release {build}',
  ],
  'rollout-open': ['A rollout was still open', AGAIN, 'at the next slot after its end', 'conduct why'],
  'line-held': ['An operator stopped the line', AGAIN, 'at the first slot after it is lifted', 'conduct unhold'],
  holiday: ['It was a holiday', AGAIN, 'on the next working day', 'conduct schedule next'],
  freeze: ['A freeze was in force', AGAIN, 'at the first slot after the freeze', 'conduct schedule next'],
  blackout: ['A blackout was in force', AGAIN, 'at the first slot after the blackout', 'conduct schedule next'],
  'day-off': ['It was no working day', AGAIN, 'on the next working day', 'conduct schedule next'],
  'outside-hours': ['It was outside deploy hours', AGAIN, 'when they open', 'conduct schedule next'],
  missed: [
    'Nobody was there to fire it',
    'it is not made up for; the next slot is decided anew',
    NEXT_SLOT,
    'conduct schedule',
  ],
  preflight: ['A check before the release refused', AGAIN, NEXT_SLOT, 'conduct release {build} --dry-run'],
  refused: ['The release was refused', AGAIN, NEXT_SLOT, 'conduct release {build} --dry-run'],
})

export type SlotCode = Exclude<keyof typeof SLOT_REASONS, 'fired'>

// Owns why a slot fired nothing: its record, in the words of the table.
import type { SlotRecord } from '#fleet/slot.ts'
import { told, type Why } from './case.ts'
import { SLOT_REASONS } from './slot-reasons.ts'

/** Pure. A code of a later version is told by its own reason. */
export function slotWhy({ app, slot, code, reason, build, rollout, commander, by, at }: SlotRecord): Why {
  const known = code in SLOT_REASONS ? (code as keyof typeof SLOT_REASONS) : 'refused'
  const whose = commander === null ? '' : `; ${commander} was to command`
  return told({
    about: slot,
    code,
    spec: SLOT_REASONS[known],
    words: { app, build: build ?? '', id: rollout ?? '', ring: '', node: '' },
    evidence: [reason, `decided ${at} by ${by}${whose}`],
    waits: code === 'too-many-changes',
  })
}

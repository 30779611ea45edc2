// Owns the leader's second duty: slots of the calendar are fired, and rings that take every build get what is published.
import type { Logger } from '#fleet/ports.ts'
import type { Duty } from './lead.ts'
import { type Calendar, type Decided, runSlots, type SlotWorld } from './slots.ts'

export interface Slots {
  readonly world: Omit<SlotWorld, 'lease' | 'onDecided'>
  calendar(): Calendar
  published(signal: AbortSignal): AsyncIterable<unknown>
  readonly log: Logger
}

/** What begins here stands in the ledger, where the first duty finds it open and drives it. */
export function slotsDuty({ world, calendar, published, log }: Slots): Duty {
  return async (lease, signal) => {
    const onDecided = ({ record, rollout }: Decided): void => {
      const begun = rollout === null ? {} : { rollout: rollout.id, build: rollout.build }
      if (record === null) log.info('a build is released by itself', begun)
      else log.info('slot decided', { slot: record.slot, code: record.code, ...begun })
    }
    await runSlots({ ...world, lease, onDecided }, calendar, signal, published)
  }
}

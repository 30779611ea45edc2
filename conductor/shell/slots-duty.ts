// Owns the leader's second duty: slots of the calendar are fired, and rings that take every build get what is published.
import { FleetError } from '#fleet/errors.ts'
import type { Logger } from '#fleet/ports.ts'
import type { Duty } from './lead.ts'
import { type Calendar, type Decided, runSlots, type SlotWorld } from './slots.ts'

export interface Slots {
  readonly world: Omit<SlotWorld, 'lease' | 'onDecided'>
  calendar(): Calendar
  published(signal: AbortSignal): AsyncIterable<unknown>
  readonly log: Logger
}

/** What is refused, like a key that our token may not write, is not cured by asking. */
const REFUSED_MS = 10_000

/** What begins here stands in the ledger, where the first duty finds it open and drives it. */
export function slotsDuty({ world, calendar, published, log }: Slots): Duty {
  return async (lease, signal) => {
    const onDecided = ({ record, rollout }: Decided): void => {
      const begun = rollout === null ? {} : { rollout: rollout.id, build: rollout.build }
      if (record === null) log.info('a build is released by itself', begun)
      else log.info('slot decided', { slot: record.slot, code: record.code, ...begun })
    }
    for (;;) {
      try {
        await runSlots({ ...world, lease, onDecided }, calendar, signal, published)
      } catch (error) {
        if (signal.aborted || !(error instanceof FleetError) || error.code === 'LEASE_LOST') throw error
        // The other duty goes on: a slot that cannot be decided must not stand in the way of a rollback.
        log.warn('slots cannot be decided', { code: error.code, error: error.message })
        await world.clock.sleep(REFUSED_MS, signal)
      }
    }
  }
}

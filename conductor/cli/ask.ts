// Owns asking the holder of the lease: a request in its mailbox, three seconds for an answer, and taking it back.
import { randomUUID } from 'node:crypto'
import { ANSWERED } from '#conductor/shell/requests.ts'
import type { LeaseNote } from '#fleet/ports.ts'
import type { RollbackOptions } from './rollback.ts'
import type { Bench } from './world.ts'

/** A driver looks twice a second: who is silent for this long is dead, paused or cut off. */
const PATIENCE_MS = 3_000
const LOOK_MS = 150
/** How many entries back an answer is looked for: a busy driver writes a few in between. */
const RECENT = 20

/** True when the driver took the request over; false when nobody answered, and the request is withdrawn. */
export async function askDriver(bench: Bench, holder: LeaseNote, options: RollbackOptions): Promise<boolean> {
  const { ports, clock, signal, by, report, rings } = bench
  const id = randomUUID()
  const view = await ports.ledger.view(rings, signal)
  const expires = new Date(clock.now() + 2 * PATIENCE_MS).toISOString()
  const args = { now: options.now, reason: options.reason }
  const generations = Object.fromEntries(Object.entries(view.rollout?.record.generations ?? {}))
  report.say(`${holder.holder} holds the lease: asking to roll back.`)
  await ports.ledger.ask({ id, verb: 'rollback', args, by, expires, generations }, signal)
  const end = clock.monotonic() + PATIENCE_MS
  try {
    while (clock.monotonic() < end) {
      const outcome = await answerTo(bench, id)
      if (outcome !== null) return outcome === 'rolling back' || outcome === 'joined'
      await clock.sleep(LOOK_MS, signal)
    }
  } finally {
    await ports.ledger.withdraw(id, AbortSignal.timeout(2_000)).catch(() => undefined)
  }
  // Answered at the last moment: then it is being done, and taking the lease away would only disturb it.
  const late = await answerTo(bench, id)
  return late === 'rolling back' || late === 'joined'
}

async function answerTo({ ports, signal }: Bench, id: string): Promise<string | null> {
  const entries = await ports.ledger.history(RECENT, signal)
  const answer = entries.find(({ event, facts }) => event === ANSWERED && facts.request === id)
  return answer === undefined ? null : String(answer.facts.outcome)
}

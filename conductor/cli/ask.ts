// Owns asking the holder of the lease: a request in its mailbox, three seconds for an answer, and taking it back.
import { randomUUID } from 'node:crypto'
import { ANSWERED, type Answer } from '#conductor/shell/requests.ts'
import { ERRORS } from '#fleet/errors.ts'
import type { Facts, LeaseNote, Request } from '#fleet/ports.ts'
import type { RollbackOptions } from './rollback.ts'
import type { Bench } from './world.ts'

/** A driver looks twice a second: who is silent for this long is dead, paused or cut off. */
const PATIENCE_MS = 3_000
const LOOK_MS = 150
/** How many entries back an answer is looked for: a busy driver writes a few in between. */
const RECENT = 20

/** An answer, and the id of the rollout that it is about. */
export type Answered = Answer & { readonly rollout: string | null }

/** True when the driver took the request over; false when nobody answered, and the request is withdrawn. */
export async function askDriver(
  bench: Bench,
  holder: LeaseNote,
  options: RollbackOptions,
  id: string,
): Promise<boolean> {
  bench.report.say(`${holder.holder} holds the lease: asking to roll back.`)
  const { now, reason, to } = options
  const answer = await ask(bench, 'rollback', { now, reason, to, id, rings: bench.ringsNamed ? bench.rings : [] })
  return answer !== null && answer.result !== 'refused'
}

/** Whether somebody drives for the holder of the lease: a living driver answers any request, also one that it does not know. */
export async function isDriven(bench: Bench): Promise<boolean> {
  return (await ask(bench, 'ping', {})) !== null
}

/** The driver's answer, or null when there was none in time. @param patienceMs how long it may take */
export async function ask(
  bench: Bench,
  verb: string,
  args: Request['args'],
  patienceMs = PATIENCE_MS,
): Promise<Answered | null> {
  const { ports, clock, signal, by, rings } = bench
  const id = randomUUID()
  const view = await ports.ledger.view(rings, signal)
  const expires = new Date(clock.now() + 2 * patienceMs).toISOString()
  const generations = Object.fromEntries(Object.entries(view.rollout?.record.generations ?? {}))
  await ports.ledger.ask({ id, verb, args, by, expires, generations }, signal)
  const end = clock.monotonic() + patienceMs
  try {
    while (clock.monotonic() < end) {
      const answer = await answerTo(bench, id)
      if (answer !== null) return answer
      await clock.sleep(LOOK_MS, signal)
    }
  } finally {
    await ports.ledger.withdraw(id, AbortSignal.timeout(2_000)).catch(() => undefined)
  }
  // Answered at the last moment: then it is being done, and taking the lease away would only disturb it.
  return await answerTo(bench, id)
}

async function answerTo({ ports, signal }: Bench, id: string): Promise<Answered | null> {
  const entries = await ports.ledger.history(RECENT, signal)
  const answer = entries.find(({ event, facts }) => event === ANSWERED && facts.request === id)
  return answer === undefined ? null : answerIn(answer.facts)
}

/** An entry of an older driver has an outcome in words and nothing else. */
function answerIn({ outcome, result, code, rollout }: Facts): Answered {
  const known = result === 'done' || result === 'already' ? result : 'refused'
  const isCode = (text: unknown): text is keyof typeof ERRORS => typeof text === 'string' && Object.hasOwn(ERRORS, text)
  const about = typeof rollout === 'string' ? rollout : null
  return { outcome: String(outcome), result: known, rollout: about, ...(isCode(code) && { code }) }
}

// Owns how a verb of an operator is carried out: by whoever drives, when somebody does, else under the lease for one transaction.

import type { Decision, VerbWish } from '#conductor/core/verbs.ts'
import { execute } from '#conductor/shell/execute.ts'
import { type Observation, observe } from '#conductor/shell/observe.ts'
import { consider, deedOf } from '#conductor/shell/perform.ts'
import { type Answer, answerOf } from '#conductor/shell/requests.ts'
import type { Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Lease, LeaseNote, Request } from '#fleet/ports.ts'
import { ask } from './ask.ts'
import { leaseNote, ORPHANED_MS, untilFree } from './lease.ts'
import { plain } from './reporter.ts'
import { ageOf } from './words.ts'
import type { Bench } from './world.ts'

export interface VerbOptions {
  readonly dryRun: boolean
  /** How long a holder of the lease that does not answer is waited for, in milliseconds. */
  readonly timeoutMs: number
}

const MOMENT_MS = 1_000

type Doing = Extract<Decision, { kind: 'do' }>

/** How a verb ended, and whether somebody drives the rollout that it is about. */
interface Carried {
  readonly answer: Answer
  readonly driven: boolean
}

/** @throws FleetError the refusal of the table or of the world · `LEASE_HELD` when the holder of the lease does not answer */
export async function carryOut(bench: Bench, wish: VerbWish, options: VerbOptions): Promise<number> {
  const observed = await lookAt(bench)
  const first = await consider(bench.ports.ledger, observed, wish, bench.signal)
  if (first.kind === 'refuse') throw new FleetError(first.code, first.message)
  if (first.kind === 'already') {
    const driven = (await bench.ports.locks.holder(bench.signal)) !== null
    return said(bench, wish, { answer: answerOf(first), driven }, observed)
  }
  if (options.dryRun) return dryRun(bench, wish, first)
  const carried = await reach(bench, wish, options)
  return said(bench, wish, carried, observed)
}

/** The rings that were named, and those of the rollout: it may be about others. */
async function lookAt({ app, rings, policy, ports, signal }: Bench): Promise<Observation> {
  const first = await observe(ports, { app, rings, policy }, signal)
  const more = Object.keys(first.rollout?.fallbacks ?? {}).filter((ring) => !rings.includes(ring as Name))
  if (more.length === 0) return first
  return observe(ports, { app, rings: [...rings, ...(more as Name[])], policy }, signal)
}

async function reach(bench: Bench, wish: VerbWish, options: VerbOptions): Promise<Carried> {
  const { ports, signal, report } = bench
  const note = leaseNote(bench, wish.verb, null)
  let unasked: Doing | null = null
  for (let attempt = 0; ; attempt += 1) {
    const holder = await ports.locks.holder(signal)
    try {
      if (holder === null) {
        await using lease = await ports.locks.acquire(note, signal)
        return { answer: await underLease(bench, lease, wish, unasked), driven: false }
      }
      // A lease without a rollout is that of another verb, for one transaction: it cannot be asked, and is free in a moment.
      if (holder.rollout === null && holder.serves !== true && (await untilFree(bench, holder.session, MOMENT_MS)))
        continue
      report.say(`${plain(holder.holder)} holds the lease: asking to ${wish.verb}.`)
      const answer = await ask(bench, wish.verb, argsOf(wish))
      if (answer !== null) return { answer, driven: true }
      if (wish.verb === 'hold') unasked ??= await stopUnasked(bench, wish)
      report.say(`${plain(holder.holder)} does not answer: waiting for its session to end.`)
      if (!(await untilFree(bench, holder.session, Math.min(options.timeoutMs, ORPHANED_MS))))
        throw silent(bench, holder, wish)
    } catch (error) {
      // Somebody took it in between: they are asked in turn.
      if (!isFleetError(error, 'LEASE_HELD', 'WRITE_CONFLICT') || error instanceof Silent || attempt > 4) throw error
      await bench.clock.sleep(100 + 200 * bench.clock.random(), signal)
    }
  }
}

/** Decided anew under the lease, and written in one transaction. */
async function underLease(bench: Bench, lease: Lease, wish: VerbWish, unasked: Doing | null): Promise<Answer> {
  const { ports, by, clock, signal } = bench
  const observed = await lookAt(bench)
  const at = new Date(clock.now()).toISOString()
  const anew = await consider(ports.ledger, observed, { ...wish, at }, signal)
  // What was written without the lease is still to be told in the history.
  const decision = anew.kind === 'already' && unasked !== null ? { ...unasked, aside: [] } : anew
  if (decision.kind === 'do') {
    const deed = deedOf(decision, observed.rollout, by, at)
    await execute({ ledger: ports.ledger, lease }, observed.ledger, deed, signal)
  }
  return answerOf(decision)
}

/** The line is stopped at once, whoever holds the lease: the history is told when it can be. Null: it is stopped already. */
async function stopUnasked(bench: Bench, wish: VerbWish): Promise<Doing | null> {
  const { ports, signal, report } = bench
  const decision = await consider(ports.ledger, await lookAt(bench), wish, signal)
  if (decision.kind !== 'do') return null
  for (const write of decision.aside) await ports.ledger.stop(write, signal)
  report.say(`Written without the lease: ${plain(decision.message)}.`)
  return decision
}

class Silent extends FleetError {}

function silent(
  { clock }: Bench,
  { holder, since, rollout, build = null, reason }: LeaseNote,
  { verb }: VerbWish,
): FleetError {
  const doing = [reason, build ?? '', rollout ?? ''].filter((word) => word !== '').join(', ')
  const who = `${holder} holds the lease since ${since} (${ageOf(since, clock.now())}; ${doing}) and does not answer`
  const stands = verb === 'hold' ? 'the hold stands and the history does not tell of it yet' : 'nothing was written'
  const ways =
    'conduct release BUILD --take-over takes the lease away and goes on, conduct rollback takes it away and goes back'
  return new Silent('LEASE_HELD', `${who}; ${stands}: ${ways}`)
}

function argsOf({ reason, nodes, rings, build, to, expires }: VerbWish): Request['args'] {
  return { reason, nodes, rings, build, to, expires }
}

function dryRun({ report, app }: Bench, { verb }: VerbWish, decision: Doing): number {
  if (report.json) report.document({ app, dryRun: true, verb, result: 'would', message: decision.message })
  else report.result(`Would ${verb}: ${plain(decision.message)}.`)
  return 0
}

/** @throws FleetError when the holder of the lease refused */
function said(bench: Bench, { verb }: VerbWish, { answer, driven }: Carried, { rollout }: Observation): number {
  const { report, app } = bench
  const { outcome, result, code } = answer
  if (result === 'refused') throw new FleetError(code ?? 'ROLLOUT_STOPPED', outcome)
  const goesOn =
    ['resume', 'promote', 'retry', 'waive'].includes(verb) && result === 'done' && !driven && rollout !== null
  const next = rollout?.phase === 'recalling' ? 'conduct rollback' : `conduct release ${rollout?.build}`
  const alone = goesOn ? [`Nobody drives it: ${next} goes on with it.`] : []
  if (report.json) {
    report.document({ app, dryRun: false, verb, result, message: outcome, driven })
    return 0
  }
  const lines = [result === 'already' ? `Nothing to do: ${plain(outcome)}.` : capital(`${plain(outcome)}.`), ...alone]
  for (const line of lines) report.result(line)
  return 0
}

/** A sentence begins with a capital unless its first word is a name: of a node, a build or a person. */
function capital(text: string): string {
  return /^(rollout|stage|the) /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text
}

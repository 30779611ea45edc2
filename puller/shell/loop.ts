// Owns the turning of the machine: events in a queue, the journal before the effects, one job at a time, outcomes back as events.
import { createHash } from 'node:crypto'
import { backoffMs } from '#fleet/backoff.ts'
import { describeError, isFleetError } from '#fleet/errors.ts'
import type { Trouble } from '#fleet/node-status.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import { encodeJournal } from '../core/journal.ts'
import { step } from '../core/machine.ts'
import { comesByAgain, type Journal, journalOf } from '../core/recover.ts'
import { waitsFor } from '../core/report.ts'
import type { Job, NodeEvent, NodeState, Step } from '../core/state.ts'
import type { Shelf } from './durable.ts'
import type { Perform } from './effects.ts'

export interface LoopWorld {
  readonly perform: Perform
  /** Jobs that change nothing outside this process: they may begin before the journal says so, where a start would come by them again. */
  readonly traceless: (job: Job) => boolean
  readonly journal: Shelf
  readonly clock: Clock
  readonly log: Logger
  /** After every step that changed something, once it is durable; and when the journal cannot be written, or can again. */
  readonly onChange: (state: NodeState, event: NodeEvent | null) => void
}

export interface Loop {
  readonly state: () => NodeState
  /** What keeps the loop itself from going on. */
  readonly troubles: () => readonly Trouble[]
  /** Events are taken in the order they are sent. */
  send(event: NodeEvent): void
  /** Resolves when the machine has stopped and nothing is in flight; rejects by a bug of ours. */
  readonly ended: Promise<void>
}

const JOURNAL_AGAIN = { floorMs: 200, ceilingMs: 5_000 }

/** Names a state in a trace: a replay of the events through `step` must come by the same ones. */
export function digestOf(state: NodeState): string {
  return createHash('sha256').update(JSON.stringify(state)).digest('hex').slice(0, 16)
}

/** Starts turning from what `recover` found. */
export function startLoop(start: Step, world: LoopWorld): Loop {
  const { log, clock } = world
  const ended = Promise.withResolvers<void>()
  const queue: NodeEvent[] = []
  let state = start.state
  let turning = false
  let journalled = ''
  let saved: Journal | null = null
  let trouble: Trouble | null = null
  /** Why it waits, as was said last; null once it went on. */
  let told: Trouble['code'] | null = null
  let inHand: { readonly job: Job; readonly abort: AbortController; readonly settled: Promise<void> } | null = null

  function begin(job: Job): void {
    const abort = new AbortController()
    const before = inHand?.settled ?? Promise.resolve()
    const from = state
    // What was cancelled must have ended before the next begins: two jobs never touch the trees, or the application, at once.
    const settled = before.then(async () => {
      if (abort.signal.aborted) return
      try {
        send(await world.perform(job, from, abort.signal))
      } catch (error) {
        if (!abort.signal.aborted) ended.reject(error)
      }
    })
    inHand = { job, abort, settled }
  }

  async function save(): Promise<void> {
    const journal = journalOf(state)
    const entry = encodeJournal(journal)
    const text = JSON.stringify(entry)
    for (let attempt = 0; text !== journalled; attempt += 1) {
      try {
        await world.journal.save(entry)
        journalled = text
        saved = journal
      } catch (error) {
        if (!isFleetError(error)) throw error
        const message = `the journal cannot be written: ${describeError(error)}; nothing is begun until it can`
        if (trouble?.code !== error.code) log.warn('journal cannot be written', { code: error.code, detail: message })
        trouble = { code: error.code, message }
        world.onChange(state, null)
        await clock.sleep(backoffMs(JOURNAL_AGAIN, attempt, clock.random()))
      }
    }
    if (trouble === null) return
    trouble = null
    log.info('journal can be written again', {})
    world.onChange(state, null)
  }

  /** The journal comes before the effects. Where there is none, it comes with the next: two fsyncs less on the way of a rollback. */
  function mayWait({ effects }: Step): boolean {
    const begins = effects.find((effect) => effect.type === 'start')
    return (
      begins !== undefined && world.traceless(begins.job) && saved !== null && comesByAgain(saved, journalOf(state))
    )
  }

  async function carryOut(done: Step): Promise<void> {
    if (!mayWait(done)) await save()
    for (const effect of done.effects) {
      switch (effect.type) {
        case 'cancel':
          inHand?.abort.abort(new Error(`job ${effect.n} is not wanted any more`))
          break
        case 'start':
          begin(effect.job)
          break
        case 'exit':
          void (inHand?.settled ?? Promise.resolve()).then(ended.resolve)
          break
      }
    }
  }

  /** Once for each reason, not at each try. */
  function tellWait(): void {
    const waits = waitsFor(state)
    if (waits === null || waits.code === told) return
    told = waits.code
    log.warn('waits and tries again', { code: waits.code, detail: waits.message })
  }

  async function turn(): Promise<void> {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      const was = state
      const done = step(state, event)
      state = done.state
      log.debug('step', { event: JSON.stringify(event), state: digestOf(state) })
      for (const { from, edge, to } of done.trail) {
        if (from === to) continue
        told = null
        log.info('phase changed', { from, edge, to, ...facts(state, event) })
      }
      tellWait()
      if (state === was && done.effects.length === 0) continue
      await carryOut(done)
      world.onChange(state, event)
    }
    // In the same breath as the last look at the queue: an event sent a moment later must find nobody turning, or nobody would take it.
    turning = false
  }

  function send(event: NodeEvent): void {
    queue.push(event)
    if (turning) return
    turning = true
    turn().catch(ended.reject)
  }

  log.debug('recovered', { phase: state.phase, state: JSON.stringify(state) })
  turning = true
  carryOut(start)
    .then(() => world.onChange(state, null))
    .then(turn)
    .catch(ended.reject)
  return { state: () => state, troubles: () => (trouble === null ? [] : [trouble]), send, ended: ended.promise }
}

function facts(state: NodeState, event: NodeEvent): Record<string, unknown> {
  const { order, move, hot } = state
  return {
    generation: order?.target.generation ?? null,
    build: move?.to.build ?? order?.target.build ?? null,
    hot: hot?.build ?? null,
    ...('code' in event && { code: event.code, detail: event.message }),
  }
}

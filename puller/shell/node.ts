// Owns a running node: admission, machine, status and the two doors, put together from ports and taken apart in order.
import { describeError, isFleetError } from '#fleet/errors.ts'
import type { Maintenance, WatchFolder } from '#fleet/node-ports.ts'
import type { NodeStatus, Trouble } from '#fleet/node-status.ts'
import type { Catalog, Clock, Logger, Pins, StatusSink, TargetFeed } from '#fleet/ports.ts'
import { decodeJournal } from '../core/journal.ts'
import { type Journal, recover } from '../core/recover.ts'
import { gist, statusOf } from '../core/report.ts'
import type { Job, NodeEvent, NodeState, Step } from '../core/state.ts'
import type { StageResult } from '../core/trees.ts'
import { type Accepted, decodeAccepted, NOTHING_ACCEPTED, numbersIn, type Reader } from './accepted.ts'
import { type Admission, openAdmission } from './admission.ts'
import { openCommands } from './commands.ts'
import { type EffectsOptions, openEffects, type Perform, soundnessOfHot, tracelessUnder } from './effects.ts'
import { openLeisure } from './leisure.ts'
import type { Listening } from './listen.ts'
import { type Loop, startLoop } from './loop.ts'
import { openPublisher, type Publisher } from './publisher.ts'
import type { Trees } from './trees.ts'
import { openTurns, type TurnOptions } from './turn.ts'

/** What a node tells its metrics. */
export interface Observer {
  /** @param previous what ran before hot */
  status(status: NodeStatus, previous: string | null): void
  staged(result: StageResult): void
  swapped(outcome: 'swapped' | 'reverted' | 'failed'): void
  jobFinished(kind: string, ms: number, ok: boolean): void
}

/** Consul, as far as a node needs it; null for a node that is run without it. */
export interface Upstream {
  readonly feed: TargetFeed
  readonly catalog: Catalog
  readonly pins: Pins
  readonly sink: StatusSink
}

export interface NodeWorld {
  readonly trees: Trees
  readonly upstream: Upstream | null
  readonly maintenance: Maintenance
  readonly watch: WatchFolder
  readonly clock: Clock
  readonly log: Logger
  readonly observer: Observer
  readonly giveMemoryBack: () => void
}

export type NodeOptions = EffectsOptions & TurnOptions

export interface RunningNode {
  readonly loop: Loop
  readonly status: () => NodeStatus
  /** Resolves when the machine stopped; rejects by a bug of ours. */
  readonly ended: Promise<void>
}

interface Remembered {
  readonly accepted: Accepted
  readonly journal: Journal | null
  readonly trouble: Trouble | null
}

/** Reads what the last puller left. What cannot be read is told and rebuilt; what a newer puller wrote stops this one. */
export async function remember(
  trees: Pick<Trees, 'ratchet' | 'journal'>,
  reader: Reader,
  log: Logger,
): Promise<Remembered> {
  let trouble: Trouble | null = null
  const told = (error: unknown): void => {
    if (!isFleetError(error, 'JOURNAL_INVALID')) throw error
    trouble = { code: error.code, message: describeError(error) }
    log.warn('journal was unreadable and is rebuilt', { code: error.code, detail: describeError(error) })
  }
  let accepted: Accepted = NOTHING_ACCEPTED
  let journal: Journal | null = null
  try {
    const value = await trees.ratchet.load()
    accepted = numbersIn(value) ?? NOTHING_ACCEPTED
    accepted = decodeAccepted(value, reader)
  } catch (error) {
    told(error)
  }
  try {
    journal = decodeJournal(await trees.journal.load())
  } catch (error) {
    told(error)
  }
  return { accepted, journal, trouble }
}

/** Where the node stands, by the disk and the journal; hot is compared after an unclean stop, unless there is no `signal`: a quick look. */
export async function resume(
  world: Pick<NodeWorld, 'trees' | 'log'>,
  reader: Reader,
  signal: AbortSignal | null,
): Promise<Found> {
  const { trees, log } = world
  const remembered = await remember(trees, reader, log)
  const unsound = signal === null ? null : await soundnessOfHot(trees, log, signal)
  const survey = await trees.survey()
  const fault: Trouble | null = unsound === null ? survey.hotFault : { code: 'HOT_BROKEN', message: unsound }
  if (fault !== null) log.error('hot is not sound', { code: fault.code, detail: fault.message })
  const { accepted, journal } = remembered
  const start = recover(
    { ...survey, hot: unsound === null ? survey.hot : null, hotFault: fault },
    journal,
    accepted.order,
  )
  log.info('resumed', {
    phase: start.state.phase,
    hot: start.state.hot?.build ?? null,
    generation: accepted.ratchet.generation,
  })
  return { start, accepted, troubles: [remembered.trouble, fault].filter((trouble) => trouble !== null) }
}

function measured(perform: Perform, world: NodeWorld): Perform {
  const { clock, observer } = world
  return async (job: Job, state: NodeState, signal: AbortSignal) => {
    const startedMs = clock.monotonic()
    const outcome = await perform(job, state, signal)
    observer.jobFinished(job.kind, clock.monotonic() - startedMs, !('code' in outcome))
    if (outcome.type === 'swapFailed') observer.swapped('failed')
    if (outcome.type === 'swapped') observer.swapped(state.phase === 'reverting' ? 'reverted' : 'swapped')
    return outcome
  }
}

interface Found {
  readonly start: Step
  readonly accepted: Accepted
  readonly troubles: readonly Trouble[]
}

/** Runs until the machine stopped after `signal`; then every part is closed. */
export async function runNode(
  options: NodeOptions,
  world: NodeWorld,
  found: Found,
  signal: AbortSignal,
  onReady: (node: RunningNode) => void,
): Promise<void> {
  const { trees, upstream, clock, log, observer } = world
  const { reader } = options
  const parts = new AbortController()
  let progress: NodeStatus['progress'] = null
  let wrong = found.troubles
  let admission: Admission | null = null
  let publisher: Publisher | null = null
  const turns = openTurns(options, { pins: upstream?.pins ?? NO_PINS, clock, log })
  const effects = openEffects(options, {
    ...world,
    turns,
    onProgress: (now) => {
      progress = now
    },
    onStaged: (result) => {
      observer.staged(result)
      leisure.worked()
    },
  })
  const perform = measured(effects, world)
  const atRest = (): boolean => {
    const { job } = loop.state()
    return job === null || job.kind === 'wait'
  }
  const leisure = openLeisure({ clock, atRest, giveMemoryBack: world.giveMemoryBack })
  const status = (): NodeStatus =>
    statusOf(loop.state(), {
      ...reader,
      generation: admission?.accepted().ratchet.generation ?? found.accepted.ratchet.generation,
      troubles: [...loop.troubles(), ...(admission?.troubles() ?? []), ...seen(publisher), ...wrong],
      progress,
      nowMs: clock.now(),
    })
  const changed = (state: NodeState, event: NodeEvent | null): void => {
    // What was wrong at the start is over once something was verified since.
    if (event?.type === 'undrained' && state.verified) wrong = []
    observer.status(status(), state.previous?.build ?? null)
    publisher?.poke()
  }
  const traceless = tracelessUnder(options)
  const loop = startLoop(found.start, { perform, traceless, journal: trees.journal, clock, log, onChange: changed })
  if (upstream !== null) {
    admission = openAdmission(found.accepted, reader, {
      feed: upstream.feed,
      catalog: upstream.catalog,
      trees,
      ratchet: trees.ratchet,
      clock,
      log,
      running: () => loop.state().hot?.build ?? null,
    })
    publisher = openPublisher({
      sink: upstream.sink,
      clock,
      log,
      status,
      gist: () => gist(loop.state(), status()),
      urgent: () => cameToRest(loop.state()),
    })
  }
  const stop = (): void => loop.send({ type: 'stop' })
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  let control: Listening | null = null
  try {
    control = await openCommands({ root: options.root, loop, status, trees, log })
    onReady({ loop, status, ended: loop.ended })
    const onOrder = (order: Parameters<Parameters<Admission['run']>[1]>[0]): void =>
      loop.send({ type: 'ordered', order })
    const onNews = (back: boolean): void => {
      observer.status(status(), loop.state().previous?.build ?? null)
      publisher?.poke(back)
    }
    const watching = admission?.run(parts.signal, onOrder, onNews) ?? NEVER
    const publishing = publisher?.run(parts.signal) ?? NEVER
    await Promise.race([loop.ended, failing(watching), failing(publishing), failing(leisure.run(parts.signal))])
    // The last word of a clean stop, so that what people read is where it stopped.
    const lastWord = AbortSignal.timeout(2_000)
    await upstream?.sink.publish(status(), lastWord).catch(() => undefined)
  } finally {
    parts.abort(new Error('the node stops'))
    await control?.close()
    await upstream?.sink.close()
  }
}

/** A rollout waits for a node that came to rest. One that asks for its turn is about to leave, and says where it stands when it stays after all. */
function cameToRest({ phase, job }: NodeState): boolean {
  return phase === 'idle' || phase === 'parked' || (phase === 'staged' && job?.kind !== 'turn')
}

const NEVER = new Promise<void>(() => {})
const NO_PINS: Pins = { read: async () => null }

/** Only a failure counts: parts end quietly when they are told to. */
function failing(part: Promise<void>): Promise<void> {
  return part.then(() => NEVER)
}

function seen(publisher: Publisher | null): readonly Trouble[] {
  const trouble = publisher?.trouble() ?? null
  return trouble === null ? [] : [{ code: trouble.code, message: trouble.message }]
}

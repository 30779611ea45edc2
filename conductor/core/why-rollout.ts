// Owns why a rollout stands where it stands: what an operator has to do before what nodes have to do.
import { formatDuration } from '#fleet/duration.ts'
import type { Because } from '#fleet/rollout.ts'
import { told, type Why } from './case.ts'
import type { Picture, RolloutPicture } from './picture.ts'
import { ROLLOUT_REASONS } from './reasons.ts'

type RolloutReason = keyof typeof ROLLOUT_REASONS

/** A reason that holds, with its evidence. Of several the first counts. */
interface Holds extends Omit<Because, 'code'> {
  readonly code: RolloutReason
  readonly when?: string | null
}

function isReason(code: string): code is RolloutReason {
  return Object.hasOwn(ROLLOUT_REASONS, code)
}

export function rolloutWhy(picture: Picture, nowMs: number): Why {
  const { app, rollout } = picture
  if (rollout === null) return neverReleased(app)
  const over = rollout.endedAt !== null
  const reasons = over
    ? [...ended(rollout), ...stopped(picture)]
    : rollout.phase === 'recalling'
      ? back(rollout)
      : forth(picture, rollout, nowMs)
  const [primary, ...others] = reasons
  const code = primary?.code ?? 'going-on'
  const nodes = primary?.nodes ?? []
  const { id, build, stage } = rollout
  const also = [...new Set(others.map((one) => one.code))].filter((one) => one !== code)
  return told({
    about: id,
    code,
    spec: ROLLOUT_REASONS[code],
    words: { app, build, id, ring: stage.ring, node: nodes.length === 1 ? (nodes[0] ?? '') : '' },
    evidence: [primary, ...others].flatMap((one) => (one === undefined || one.message === '' ? [] : [one.message])),
    nodes,
    when: primary?.when ?? null,
    waits: !over && code !== 'going-on',
    also,
    over,
  })
}

const CALM: readonly string[] = ['never-released', 'done', 'going-on'] satisfies readonly RolloutReason[]

/** Nothing is to be said of it, nor to be typed. */
export function isCalm({ code }: Why): boolean {
  return CALM.includes(code)
}

function neverReleased(app: string): Why {
  const words = { app, build: '', id: '', ring: '', node: '' }
  const spec = ROLLOUT_REASONS['never-released']
  return told({ about: app, code: 'never-released', spec, words, evidence: [], waits: false })
}

/** Our own verdicts: a rollout that was taken back because of one says so first. */
const VERDICTS: readonly string[] = ['failures-over-budget', 'identity-mismatch', 'gate-failed', 'smoke-failed']

function verdictOf({ cause, outcome }: RolloutPicture): readonly Holds[] {
  return cause !== null && VERDICTS.includes(cause) && isReason(cause) ? [{ code: cause, message: outcome ?? '' }] : []
}

/** The line is stopped for the whole app: whatever comes next waits for that. */
function stopped({ holds }: Picture): readonly Holds[] {
  const everywhere = holds.filter(({ ring }) => ring === null)
  return everywhere.map(({ by, reason }) => ({ code: 'line-held', message: `the line is stopped by ${by}: ${reason}` }))
}

function ended(rollout: RolloutPicture): readonly Holds[] {
  const { phase, because, outcome } = rollout
  const verdict = verdictOf(rollout)
  if (verdict.length > 0) return verdict
  const message = outcome ?? ''
  if (phase === 'done') return [{ code: 'done', message }]
  if (phase === 'rolledBack') return [{ code: 'rolled-back', message }]
  return because.length > 0 ? known(because) : [{ code: 'called-off', message }]
}

function known(because: readonly Because[]): readonly Holds[] {
  return because.map(({ code, ...rest }) => ({ ...rest, code: isReason(code) ? code : 'hold' }))
}

function back(rollout: RolloutPicture): readonly Holds[] {
  const reasons = known(rollout.because).map((one) =>
    one.code === 'no-driver' ? { ...one, code: 'no-driver-back' as const } : one,
  )
  const alone = reasons.filter(({ code }) => code === 'no-driver-back')
  const rest = reasons.filter(({ code }) => code !== 'no-driver-back')
  const last = [{ code: 'recalling' as const, message: rollout.outcome ?? '' }]
  return [...alone, ...verdictOf(rollout), ...rest, ...last]
}

/** What an operator has to do comes before what nodes have to do, and a stop before whoever is missing. */
function forth(picture: Picture, rollout: RolloutPicture, nowMs: number): readonly Holds[] {
  const reasons = known(rollout.because).filter(({ code }) => code !== 'hold')
  // Where nodes are merely ahead of an order of ours it is written again by itself.
  const stray = reasons.some(({ code }) => code === 'node-ahead') ? [] : strayIn(picture, rollout)
  const first = (code: RolloutReason) => reasons.filter((one) => one.code === code)
  const timed = reasons.map((one) => ({ ...one, when: whenOf(one.code, rollout, nowMs) }))
  const stops = timed.filter(({ code }) => code === 'line-held').map((one) => ({ ...one, when: holdEnds(picture) }))
  const rest = timed.filter(({ code }) => code !== 'line-held' && code !== 'no-driver')
  return [...holdOf(rollout), ...stray, ...stops, ...first('no-driver'), ...rest]
}

const HOLDS: readonly string[] = ['paused', 'orphan-write', 'progress-deadline', 'smoke-not-run']

function holdOf({ hold }: RolloutPicture): readonly Holds[] {
  if (hold === null) return []
  const code = HOLDS.includes(hold.code) && isReason(hold.code) ? hold.code : 'hold'
  return [{ code, message: `held by ${hold.by} since ${hold.at} (${hold.code}): ${hold.reason}` }]
}

/** A key of the rollout that does not hold its order, before anybody put the rollout on hold for it. */
function strayIn({ rings }: Picture, { fallbacks, stage }: RolloutPicture): readonly Holds[] {
  const began = (ring: string, rollout: string | undefined) => ring === stage.ring || rollout !== undefined
  return rings.flatMap(({ ring, target, trouble }) => {
    if (trouble === null || !Object.hasOwn(fallbacks, ring) || !began(ring, target?.rollout)) return []
    return [{ code: 'orphan-write' as const, message: trouble.message }]
  })
}

function holdEnds({ holds, rollout }: Picture): string | null {
  const ring = rollout?.stage.ring
  const ends = holds.filter((hold) => hold.ring === null || hold.ring === ring).map(({ expires }) => expires)
  const last = ends.toSorted().at(-1)
  return ends.includes(null) || last === undefined ? null : `at ${last}, or when it is lifted`
}

const BEHIND: readonly string[] = [
  'nodes-staging',
  'nodes-working',
  'nodes-silent',
  'cap-reached',
  'barrier',
  'ring-empty',
]

/** Where the rollout knows a time. */
function whenOf(code: RolloutReason, { stage }: RolloutPicture, nowMs: number): string | null {
  const inTime = (seconds: number) =>
    `in ${formatDuration(seconds * 1_000)} (${new Date(nowMs + seconds * 1_000).toISOString()})`
  if (code === 'soaking' && stage.soakLeftSeconds !== null) return inTime(stage.soakLeftSeconds)
  if (!BEHIND.includes(code) || stage.deadlineSeconds === null) return null
  return `${ROLLOUT_REASONS[code].when}; on hold otherwise, ${inTime(stage.deadlineSeconds)}`
}

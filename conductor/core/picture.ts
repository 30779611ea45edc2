// Owns the picture of an app that `status --json` promises: every ring, every node in one count, and why the rollout stands where it stands.
import type { Name } from '#fleet/build.ts'
import { ERRORS, type ErrorCode } from '#fleet/errors.ts'
import type { GateMark } from '#fleet/gate.ts'
import { hasExpired, type LineHold } from '#fleet/hold.ts'
import type { CatalogEntry, LeaseNote } from '#fleet/ports.ts'
import type { Because, Hold, Rollout, Waiver } from '#fleet/rollout.ts'
import { type Counts, countNodes, type NodeState, stateOf } from '#fleet/roster.ts'
import { place, type Target, wants } from '#fleet/target.ts'
import { isAbandoned } from './abandoned.ts'
import { type Force, forceIn, isForeign, isRegressed } from './force.ts'
import { describeStanding } from './ownership.ts'
import { ALWAYS_OPEN, type Opening, plan } from './plan.ts'
import { isSoaking } from './progress.ts'
import { isOver } from './reduce.ts'
import { soakLeftMs } from './settling.ts'
import { type FleetView, highestGeneration, isSettled, type RingView } from './standing.ts'

export interface NodePicture {
  readonly node: string
  readonly phase: string
  readonly state: NodeState
  readonly hot: string | null
  readonly cold: string | null
  /** The build that the order puts on it; null where it is asked for none. */
  readonly ordered: string | null
  readonly armed: boolean
  readonly generation: number
  readonly refusal: { readonly build: string; readonly code: string; readonly message: string } | null
  readonly silent: boolean
  readonly troubles: readonly { readonly code: string; readonly message: string }[]
  readonly progress: { readonly doneBytes: number; readonly totalBytes: number } | null
  readonly at: string
  /** The open rollout does not wait for it, says who. */
  readonly waived: { readonly by: string; readonly reason: string } | null
}

export interface TargetPicture {
  readonly generation: number
  readonly build: string | null
  readonly fallback: string | null
  readonly cutoff: number
  readonly recall: boolean
  readonly bare: boolean
  readonly rollout: string
  readonly by: string
  readonly reason: string
  readonly at: string
}

export interface RingPicture {
  readonly ring: string
  /** Null when the key holds nothing that can be read. */
  readonly target: TargetPicture | null
  /** What is wrong with the key, in one sentence. */
  readonly trouble: { readonly code: string; readonly message: string } | null
  readonly counts: Counts
  readonly nodes: readonly NodePicture[]
}

/** The stage in hand. */
export interface StagePicture {
  readonly index: number
  readonly of: number
  readonly ring: string
  readonly share: number
  readonly soakSeconds: number
  /** Null before its soak has begun, and when the rollout is over. */
  readonly soakLeftSeconds: number | null
  /** Until its progress deadline puts it on hold; null where none counts. */
  readonly deadlineSeconds: number | null
  readonly smoke: { readonly passed: boolean; readonly message: string } | null
}

export interface RolloutPicture {
  readonly id: string
  readonly build: string
  /** Of the ring in hand. */
  readonly fallback: string | null
  readonly fallbacks: Readonly<Record<string, string | null>>
  readonly stage: StagePicture
  readonly phase: string
  readonly hold: Hold | null
  readonly by: string
  readonly reason: string
  readonly startedAt: string
  readonly endedAt: string | null
  readonly outcome: string | null
  /** What made it turn back or end: `operator`, or the code of our own verdict. */
  readonly cause: string | null
  /** What the gates of the stage in hand said last. */
  readonly gates: readonly GateMark[]
  readonly because: readonly Because[]
  readonly commander: string
  readonly waivers: readonly Waiver[]
}

export interface Picture {
  readonly app: string
  readonly rings: readonly RingPicture[]
  readonly rollout: RolloutPicture | null
  /** Who holds the lease, and drives. */
  readonly lease: {
    readonly holder: string
    readonly since: string
    readonly rollout: string | null
    readonly build: string | null
    readonly reason: string
    /** A daemon, which leads for as long as it runs. */
    readonly serves: boolean
  } | null
  /** Holds of the line that count now. */
  readonly holds: readonly LineHold[]
}

export interface Seen {
  readonly app: Name
  readonly rings: readonly RingView[]
  readonly fleet: FleetView
  readonly rollout: Rollout | null
  readonly lease: LeaseNote | null
  readonly builds: readonly CatalogEntry[]
  /** Milliseconds since 1970. */
  readonly now: number
  /** Whether the calendar lets a rollout go on; left out: always. */
  readonly opening?: (rollout: Rollout, nowMs: number) => Opening
}

export function pictureOf(seen: Seen): Picture {
  const { app, rings, rollout, lease } = seen
  return {
    app,
    rings: rings.map((view) => pictureRing(view, rollout, seen.builds)),
    rollout: rollout === null ? null : pictureRollout(rollout, seen),
    lease: lease === null ? null : leaseOf(lease),
    holds: (seen.fleet.line ?? []).filter((hold) => !hasExpired(hold, seen.now)),
  }
}

function leaseOf({ holder, since, rollout, build = null, reason, serves = false }: LeaseNote): Picture['lease'] {
  return { holder, since, rollout, build, reason, serves }
}

function pictureRing(view: RingView, rollout: Rollout | null, builds: readonly CatalogEntry[]): RingPicture {
  const { ring, standing, nodes } = view
  const counted = countedAgainst(view, rollout, builds)
  const read = standing.kind === 'record' || standing.kind === 'bare' ? standing.target : null
  return {
    ring,
    target: read === null ? null : pictureTarget(read, view, rollout),
    trouble: troubleOf(view, rollout),
    counts: countNodes(nodes, counted),
    nodes: nodes.map((node) => {
      const { app: _app, ring: _ring, rollout: _rollout, attempt: _attempt, ...said } = node.status
      const waived = waiverOf(rollout, node.status.node)
      const ordered = wants(counted, place(counted.salt, said.node), said.hot).hot
      return { ...said, ordered, state: stateOf(node, counted), silent: node.silent, waived }
    }),
  }
}

function waiverOf(rollout: Rollout | null, node: string): NodePicture['waived'] {
  const waiver = rollout === null || isOver(rollout) ? undefined : rollout.waivers?.find((one) => one.node === node)
  return waiver === undefined ? null : { by: waiver.by, reason: waiver.reason }
}

function pictureTarget(target: Target, view: RingView, rollout: Rollout | null): TargetPicture {
  const bare = view.standing.kind === 'bare'
  const { build, fallback, cutoff, recall, by, reason, at } = target
  // A bare id keeps the generation that is in force.
  const generation = bare ? highestGeneration(view, rollout?.generations[view.ring] ?? 0) : target.generation
  return { generation, build, fallback, cutoff, recall, bare, rollout: target.rollout, by, reason, at }
}

/** Nodes are counted against the order that they obey: the key's, or the last good one when nobody can obey the key. */
function countedAgainst(view: RingView, rollout: Rollout | null, builds: readonly CatalogEntry[]): Target {
  const { standing } = view
  const obeyed = (standing.kind === 'record' && !isRegressed(view, rollout)) || standing.kind === 'bare'
  if (obeyed) return standing.target
  return targetOfForce(view, forceIn(view, rollout, builds), rollout)
}

function targetOfForce(view: RingView, force: Force | null, rollout: Rollout | null): Target {
  return {
    app: rollout?.app ?? ('' as Name),
    ring: view.ring,
    generation: 0,
    build: force?.build.build ?? null,
    manifest: force?.build.manifest ?? null,
    fallback: force?.fallback?.build ?? null,
    fallbackManifest: force?.fallback?.manifest ?? null,
    cutoff: force?.cutoff ?? 0,
    salt: force?.salt ?? '',
    rollout: '',
    by: '',
    reason: '',
    at: '',
    recall: false,
    attempt: 1,
    activation: null,
  }
}

const WRITES_OVER = 'conduct rollback or conduct release --adopt writes over it'

function trouble(code: ErrorCode, detail: string) {
  return { code, message: `${ERRORS[code].title}: ${detail}` }
}

function keeping({ ring, nodes }: RingView): string {
  return nodes.length === 1
    ? `the node of ${ring} keeps what it runs`
    : `the ${nodes.length} nodes of ${ring} keep what they run`
}

/** One sentence about a key that holds no order of ours. */
function troubleOf(view: RingView, rollout: Rollout | null): { code: string; message: string } | null {
  const { ring, standing } = view
  switch (standing.kind) {
    case 'gone': {
      const known = rollout !== null && ring in rollout.fallbacks
      if (!known) return trouble('NOT_INITIALISED', `conduct init --ring ${ring} creates it`)
      return trouble('TARGET_GONE', `${keeping(view)}; conduct rollback or conduct release --adopt writes it anew`)
    }
    case 'rejected':
      return trouble(standing.code, `${standing.message}; ${keeping(view)}; ${WRITES_OVER}`)
    case 'bare':
      return {
        code: 'bare-order',
        message: `The bare build id ${standing.bare.build} was written by hand; ${WRITES_OVER}`,
      }
    case 'record': {
      if (isRegressed(view, rollout)) {
        const highest = highestGeneration(view, rollout?.generations[ring] ?? 0)
        const { generation } = standing.target
        const detail = `generation ${generation} is below ${highest}, which was accepted already; ${keeping(view)}; ${WRITES_OVER}`
        return trouble('TARGET_REGRESSED', detail)
      }
      const stray = isForeign(view, rollout) || (!isSettled(standing.target) && standing.target.rollout !== rollout?.id)
      return stray ? trouble('ORPHAN_WRITE', `${describeStanding(view)}; ${WRITES_OVER}`) : null
    }
  }
}

function pictureRollout(rollout: Rollout, seen: Seen): RolloutPicture {
  const { id, build, phase, hold, by, reason, startedAt, endedAt, outcome, stages, fallbacks } = rollout
  const stage = stages[rollout.stage]
  const ring = stage?.ring ?? ''
  const names = Object.entries(fallbacks).map(([name, ref]) => [name, ref?.build ?? null])
  return {
    id,
    build,
    fallback: fallbacks[ring]?.build ?? null,
    fallbacks: Object.fromEntries(names),
    stage: { index: rollout.stage, of: stages.length, ring, share: stage?.share ?? 0, ...soakOf(rollout, seen.now) },
    phase,
    hold,
    by,
    reason,
    startedAt,
    endedAt,
    outcome,
    cause: rollout.cause ?? null,
    gates: rollout.verdicts ?? [],
    because: becauseOf(rollout, seen),
    commander: rollout.commander ?? by,
    waivers: rollout.waivers ?? [],
  }
}

function soakOf(rollout: Rollout, now: number): Omit<StagePicture, 'index' | 'of' | 'ring' | 'share'> {
  const { soakSeconds = 0, progressSeconds = 0 } = rollout.stages[rollout.stage] ?? {}
  const leftMs = isSoaking(rollout) ? soakLeftMs(rollout, now) : null
  const movedAt = rollout.progress?.movedAt ?? null
  const counts = progressSeconds > 0 && movedAt !== null && rollout.phase !== 'recalling' && !isOver(rollout)
  const dueMs = counts ? Date.parse(movedAt) + progressSeconds * 1_000 - now : null
  return {
    soakSeconds,
    soakLeftSeconds: leftMs === null ? null : Math.ceil(leftMs / 1_000),
    deadlineSeconds: dueMs === null ? null : Math.max(0, Math.ceil(dueMs / 1_000)),
    smoke: rollout.progress?.smoke ?? null,
  }
}

/** What `plan` says of it, and whether anybody is there to do it. */
function becauseOf(rollout: Rollout, { fleet, lease, now, opening = () => ALWAYS_OPEN }: Seen): readonly Because[] {
  if (isOver(rollout)) {
    const left = Object.values(fleet.rings).filter((view) => isAbandoned(view, rollout))
    if (left.length === 0) return []
    const where = left.map(({ ring }) => ring).join(', ')
    const ways = `conduct release ${rollout.build} goes on from there, conduct rollback takes it back`
    return [{ code: 'aborted', message: `the rollout left ${where} between two builds: ${ways}` }]
  }
  const known = [...rollout.stages.map(({ ring }) => ring), ...Object.keys(rollout.marks ?? {})]
  if (known.some((ring) => fleet.rings[ring] === undefined)) return []
  const { because } = plan(rollout, fleet, { verdicts: rollout.verdicts ?? [] }, opening(rollout, now), now)
  if (lease !== null) return because
  const verb = rollout.phase === 'recalling' ? 'conduct rollback' : `conduct release ${rollout.build}`
  return [{ code: 'no-driver', message: `nobody drives this rollout: ${verb} goes on with it` }, ...because]
}

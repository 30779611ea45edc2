// Owns whom the gates of a stage are about: the nodes that run the new build and those that run the old one, and how a query names them.
import type { Rollout } from '#fleet/rollout.ts'
import type { Cohort } from './gates.ts'
import { isOurs } from './ownership.ts'
import { cutoffOfShare } from './raise.ts'
import { isOver } from './reduce.ts'
import { type Placed, placeAll } from './service.ts'
import type { FleetView } from './standing.ts'

/** The stage in hand as its gates see it. `whole`: all of its share has arrived, failed or fallen silent; from then on readings are about all of it. */
export interface Gathering {
  readonly cohort: Omit<Cohort, 'startedAtMs'>
  readonly whole: boolean
}

/** Null while there is nothing to judge: before the first raise of the stage's ring, over an order of somebody else, and on the way back. */
export function gather(rollout: Rollout, fleet: FleetView): Gathering | null {
  if (isOver(rollout) || rollout.phase === 'recalling') return null
  const { app, id, build, stage } = rollout
  const at = rollout.stages[stage]
  const view = at === undefined ? undefined : fleet.rings[at.ring]
  if (at === undefined || view === undefined || rollout.marks?.[at.ring] === undefined) return null
  if (!isOurs(rollout, view) || view.standing.kind !== 'record') return null
  const { target } = view.standing
  const placed = placeAll(view.nodes, target.salt)
  const fallback = rollout.fallbacks[at.ring]?.build ?? null
  const old = placed.filter(({ status, silent }) => fallback !== null && status.hot === fallback && !silent)
  const nodes = placed.filter(({ at, status }) => at < target.cutoff && status.hot === build)
  const limit = cutoffOfShare(placed, at.share)
  const whole = target.cutoff >= limit && placed.every((node) => node.at >= limit || isSettledOn(node, build))
  if (nodes.length === 0 && (target.cutoff === 0 || !whole)) return null
  return {
    whole,
    cohort: {
      app,
      rollout: id,
      build,
      fallback,
      ring: at.ring,
      share: at.share,
      stage,
      nodes: nodes.map(({ status }) => status.node),
      oldNodes: old.map(({ status }) => status.node),
      beganAtMs: Date.parse(rollout.startedAt),
      gates: at.gates ?? null,
    },
  }
}

/** Whatever it does now, waiting for it would change nothing. */
function isSettledOn({ status, silent }: Placed, build: string): boolean {
  if (silent || status.phase === 'parked' || status.refusal?.build === build) return true
  return status.hot === build && (status.phase === 'idle' || status.phase === 'staged' || status.phase === 'fetching')
}

export const PLACEHOLDERS = ['app', 'build', 'ring', 'nodes'] as const

/** `{{name}}` of a text that stand for nothing. */
export function unknownPlaceholders(text: string): readonly string[] {
  const known: readonly string[] = PLACEHOLDERS
  return [...text.matchAll(/\{\{\s*([^{}]*?)\s*\}\}/g)].flatMap(([, name = '']) => (known.includes(name) ? [] : [name]))
}

export interface Named {
  readonly app: string
  readonly build: string
  readonly ring: string
  readonly nodes: readonly string[]
}

/** The old cohort in place of the new one; null on a first deploy. */
export function oldCohort({ app, ring, fallback, oldNodes }: Cohort): Named | null {
  return fallback === null ? null : { app, ring, build: fallback, nodes: oldNodes }
}

/**
 * A text with its placeholders filled in. `{{nodes}}` becomes an alternation for `=~`, with dots as `[.]`: that means the same in every
 * kind of quotes. @param encode applied to each value
 */
export function fill(text: string, named: Named, encode: (value: string) => string = (value) => value): string {
  const nodes = named.nodes.map((node) => node.replaceAll('.', '[.]')).join('|')
  const values: Readonly<Record<string, string>> = { app: named.app, build: named.build, ring: named.ring, nodes }
  return text.replace(/\{\{\s*([^{}]*?)\s*\}\}/g, (all, name: string) =>
    Object.hasOwn(values, name) ? encode(values[name] ?? '') : all,
  )
}

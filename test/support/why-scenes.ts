// Owns the scenes that `conduct why` is tried on: pictures made by production code from a fleet, a rollout and its lease.
import { type Picture, pictureOf } from '#conductor/core/picture.ts'
import type { RingView, Standing } from '#conductor/core/standing.ts'
import type { LineHold } from '#fleet/hold.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { LeaseNote } from '#fleet/ports.ts'
import type { Rollout, Stage } from '#fleet/rollout.ts'
import type { Target } from '#fleet/target.ts'
import { A, APP, B, C, RING, Simulation, settledOn } from './rollout-sim.ts'

export interface WhyState {
  readonly of: 'rollout' | 'ring' | 'node'
  readonly name: string
  readonly code: string
  /** What to type must match. */
  readonly types: RegExp
  readonly evidence?: RegExp
  readonly when?: RegExp
  /** True unless told: it stands or waits. */
  readonly waits?: boolean
  /** Code that the node reports. */
  readonly trouble?: string
  readonly nowMs: number
  readonly picture: () => Picture
}

export const NOW = 5_000_000
export const ISO = new Date(NOW).toISOString()
const LEASE: LeaseNote = { holder: 'ana@desk', since: ISO, rollout: 'r-now', reason: 'test' }

export interface Scene {
  readonly nodes?: number
  readonly stages?: readonly Omit<Stage, 'ring'>[]
  /** Lives on until this holds. */
  readonly until?: (sim: Simulation) => boolean
  readonly healthy?: boolean
  readonly change?: (sim: Simulation) => void
  readonly rollout?: (rollout: Rollout) => Rollout | null
  readonly standing?: (target: Target) => Standing
  readonly line?: readonly LineHold[]
  readonly driven?: boolean
  readonly policy?: { readonly maxUnavailable?: number; readonly failureBudget?: number }
}

export const BEGUN = (sim: Simulation): boolean => sim.order.rollout === 'r-now'
export const ENDED = (sim: Simulation): boolean => sim.rollout.endedAt !== null

export function pictured(scene: Scene): Picture {
  const { nodes = 4, stages = [{ share: 100 }], policy = {}, until = BEGUN, healthy = true } = scene
  const sim = new Simulation({ nodes, before: settledOn(B, A), hot: B, cold: A, build: C, stages, ...policy })
  sim.now = NOW
  sim.rollout = { ...sim.rollout, startedAt: ISO }
  for (let turn = 0; turn < 500 && !until(sim); turn += 1) {
    sim.everybody(() => healthy)
    sim.conduct()
  }
  if (!until(sim)) throw new Error('the scene never came to be')
  scene.change?.(sim)
  const seen = sim.view()
  const view = seen.rings[RING]
  if (view === undefined) throw new Error('the ring is seen')
  const ring: RingView = { ...view, standing: scene.standing?.(sim.order) ?? view.standing }
  const fleet = { ...seen, rings: { [RING]: ring }, line: scene.line ?? [] }
  const rollout = scene.rollout === undefined ? sim.rollout : scene.rollout(sim.rollout)
  const lease = scene.driven === false ? null : LEASE
  return pictureOf({ app: APP, rings: [ring], fleet, rollout, lease, builds: [], now: sim.now })
}

export function state(
  of: WhyState['of'],
  name: string,
  code: string,
  types: RegExp,
  scene: Scene,
  more?: Partial<WhyState>,
) {
  return { of, name, code, types, nowMs: NOW, picture: () => pictured(scene), ...more }
}

export const line = (ring: LineHold['ring'], expires: string | null = null): LineHold => {
  return { ring, by: 'ben', reason: 'database upgrade', at: ISO, expires }
}

export const allRunIt = (sim: Simulation) => sim.nodes.every(({ said }) => said.hot === C && said.phase === 'idle')
export const turnedBack = (cause: string) => (rollout: Rollout) => {
  return { ...rollout, phase: 'recalling' as const, endedAt: null, cause, outcome: `told: ${cause}` }
}

export function recalledTo(kind: string) {
  return (sim: Simulation): boolean => {
    if (sim.rollout.phase !== 'recalling' && allRunIt(sim)) sim.rollout = turnedBack('operator')(sim.rollout)
    return sim.writes.at(-1)?.kind === kind
  }
}

export function say(sim: Simulation, index: number, more: Partial<NodeStatus>): void {
  const node = sim.nodes[index]
  if (node !== undefined) node.said = { ...node.said, ...more }
}

export function silent(sim: Simulation): void {
  const [node] = sim.nodes
  if (node !== undefined) node.silent = true
}

export const done: Scene = { until: ENDED }

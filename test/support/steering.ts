// Owns what the stories of verbs share: a ring on its first build, a release that stands still, and the history as events.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { BuildId } from '#fleet/build.ts'
import { type Conducting, conducting, type Running } from './conducting.ts'
import { startConsul } from './consul.ts'
import { A, B } from './rollout-sim.ts'
import { until } from './until.ts'

/** A ring of nodes that runs A; B is published. */
export async function onA(t: TestContext, nodes: number, rings?: readonly string[]): Promise<Conducting> {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes, ...(rings !== undefined && { rings }) })
  await fleet.publish(A)
  const all = rings?.length ?? 1
  await until('the nodes report', async () => (await status(fleet)).filter((total) => total === nodes).length === all)
  const first = await fleet.conduct('release')
  assert.equal(first.code, 0, first.stderr)
  await fleet.publish(B)
  return fleet
}

async function status(fleet: Conducting): Promise<readonly number[]> {
  const { rings } = JSON.parse((await fleet.conduct('status', '--json')).stdout) as {
    rings: { counts: { total: number } }[]
  }
  return rings.map(({ counts }) => counts.total)
}

/** A release that waits for its first node to stage. */
export async function standing(fleet: Conducting, build: BuildId = B, ...more: readonly string[]): Promise<Running> {
  const [slow] = fleet.nodes
  assert.ok(slow)
  slow.stalled = true
  const running = fleet.start('release', build, ...more)
  await until('it stages', () => running.stderr().includes('waiting for nodes to stage'))
  return running
}

/** What `fleet.nodes[0]` was held back from, it does now. */
export function letGo(fleet: Conducting): void {
  for (const node of fleet.nodes) node.stalled = false
}

export interface Event {
  readonly event: string
  readonly by: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** The history, oldest first. */
export async function events(fleet: Conducting): Promise<readonly Event[]> {
  const { stdout } = await fleet.conduct('history', '--json', '--limit', '200')
  return (JSON.parse(stdout) as { history: Event[] }).history.toReversed()
}

/** Writes requests that make no sense, and waits until each is refused in the history. */
export async function refusesAll(
  fleet: Conducting,
  asks: readonly (readonly [verb: string, args: Record<string, unknown>])[],
  signal: AbortSignal,
): Promise<void> {
  const expires = new Date(Date.now() + 60_000).toISOString()
  for (const [i, [verb, args]] of asks.entries())
    await fleet.ledger.ask({ id: `odd-${i}`, verb, args, by: 'e'.repeat(1_500), expires, generations: {} }, signal)
  const answers = await until('all are answered', async () => {
    const told = (await events(fleet)).filter(({ event }) => event === 'request-answered')
    return told.length === asks.length ? told : null
  })
  assert.ok(
    answers.every(({ facts }) => facts.result === 'refused'),
    JSON.stringify(answers.map(({ facts }) => facts)),
  )
}

export interface Order {
  readonly build: string
  readonly fallback: string
  readonly cutoff: number
  readonly salt: string
  readonly generation: number
  readonly attempt?: number
}

export async function orderOf(fleet: Conducting, ring = 'production'): Promise<Order> {
  return JSON.parse((await fleet.get(ring)) ?? 'null') as Order
}

export interface RolloutView {
  readonly id: string
  readonly phase: string
  readonly commander: string
  readonly hold: { readonly code: string; readonly by: string } | null
  readonly because: readonly { readonly code: string; readonly nodes?: readonly string[] }[]
}

export async function rolloutOf(fleet: Conducting): Promise<RolloutView> {
  const { rollout } = JSON.parse((await fleet.conduct('status', '--json')).stdout) as { rollout: RolloutView }
  return rollout
}

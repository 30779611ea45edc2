// Owns one simulation from its seed to its end: everybody set up, time turned, and what must be true when all is calm again.
import type { BuildId, Name } from '#fleet/build.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { writeTarget } from '#fleet/wire.ts'
import { asked } from '#puller/core/notice.ts'
import { same } from '#puller/core/state.ts'
import { Driver } from './driver.ts'
import { plot } from './mischief.ts'
import { APP, BUILDS, digestFor, START_MS } from './names.ts'
import { SimNode } from './node.ts'
import { rollBack } from './operator.ts'
import { type SimOptions, type Violation, World } from './world.ts'

/** What one seed came to. */
export interface Report {
  readonly nodes: number
  readonly seed: number
  readonly violation: Violation | null
  /** Rollout → how it ended. */
  readonly rollouts: Readonly<Record<string, string>>
  readonly virtualMs: number
  readonly events: number
  readonly turns: number
  readonly orders: number
  readonly swaps: number
  readonly fetchedBytes: number
  readonly lastLines: readonly string[]
}

const FIRST_GENERATION = 57
/** How often it is looked whether all is over, in milliseconds. */
const LOOK_MS = 2_000
/** Once the faults are over a rollout that has come no step further for this long stands still. */
const PATIENCE_MS = 8 * 60_000
/** By then all must have ended, counted from the last fault. */
const LIMIT_MS = 4 * 60 * 60_000

export async function simulate(options: SimOptions): Promise<Report> {
  const world = begin(options)
  await turn(world)
  return reportOf(world, options)
}

/**
 * The same, and once all is at rest the store goes away for good and everything is rolled back.
 * @returns what the rollback alone came to
 */
export async function simulateRollback(options: SimOptions): Promise<Report> {
  const world = begin(options)
  await turn(world)
  const before = reportOf(world, options)
  if (before.violation !== null) return before
  world.storeAway = true
  await world.operator().start((driver) => rollBack(world, driver, false))
  await turn(world)
  const after = reportOf(world, options)
  const [swaps, fetchedBytes] = [after.swaps - before.swaps, after.fetchedBytes - before.fetchedBytes]
  const virtualMs = after.virtualMs - before.virtualMs
  const [events, turns, orders] = [
    after.events - before.events,
    after.turns - before.turns,
    after.orders - before.orders,
  ]
  return { ...after, swaps, fetchedBytes, virtualMs, events, turns, orders }
}

/** Everybody runs the second build with the first in cold, by a settled order. */
export function begin(options: SimOptions): World {
  const world = new World(options)
  const { scenario, records, keys, timeline } = world
  const [before, runs] = BUILDS
  if (before === undefined || runs === undefined) throw new Error('a simulation has builds')
  const held = (build: BuildId) => ({ build, manifest: digestFor(build) })
  for (const { ring } of scenario.rings) {
    records.put(keys.target(ring), writeTarget(settled(ring, runs, before)))
  }
  let count = 0
  for (const { ring, nodes } of scenario.rings) {
    const reading = world.readings.changed(ring)
    if (reading === null || reading.order.kind !== 'record') continue
    const { order, modifyIndex, rank } = reading
    for (let i = 0; i < nodes; i += 1) {
      count += 1
      const node = new SimNode(world, { name: `n${count}` as Name, ring }, held(runs), held(before))
      world.add(node)
      const { target } = order
      const at = node.place(target.salt)
      node.settleOn(
        { target, place: at, modifyIndex, bare: false },
        { generation: FIRST_GENERATION, modifyIndex },
        rank,
      )
      node.voice.poke(true)
    }
  }
  for (const [place, build] of BUILDS.entries()) void world.catalog.put(entryOf(build, place, scenario.rings), 0, NEVER)
  for (const name of world.faults.has('rivals') || world.faults.has('crash-conductor') ? ['c1', 'c2'] : ['c1']) {
    const driver = new Driver(world, name)
    world.drivers.push(driver)
    timeline.after(name === 'c1' ? 1_000 : 1_500, () => driver.start())
  }
  plot(world)
  return world
}

const NEVER = new AbortController().signal

function settled(ring: Name, build: BuildId, fallback: BuildId): Target {
  const names = { app: APP, ring, build, manifest: digestFor(build), fallback, fallbackManifest: digestFor(fallback) }
  const rollout = { salt: 'r-before', rollout: 'r-before', by: 'ana', reason: '', at: new Date(START_MS).toISOString() }
  return {
    ...names,
    ...rollout,
    generation: FIRST_GENERATION,
    cutoff: ALL,
    recall: false,
    attempt: 1,
    activation: null,
  }
}

function entryOf(build: BuildId, place: number, rings: readonly { ring: Name }[]) {
  const at = (minutes: number) => new Date(START_MS - (10 - minutes) * 60_000).toISOString()
  const good = place < 2 ? Object.fromEntries(rings.map(({ ring }) => [ring, at(place)])) : {}
  const digest = digestFor(build)
  const names = { app: APP, build, commit: null, createdAt: at(place), by: 'ci', manifest: digest, treeDigest: digest }
  return { ...names, artifact: { digest, bytes: 1 }, checks: {}, good, quarantine: null }
}

/** Until all is calm and at rest, or something is broken. */
export async function turn(world: World): Promise<void> {
  const { timeline, scenario } = world
  let ended = false
  let soothed = world.story.finished
  let watched = { what: '', sinceMs: 0 }
  const look = (): void | Promise<void> => {
    if (ended) return
    timeline.after(LOOK_MS, look)
    if (timeline.now - START_MS < scenario.faultsMs) return
    if (!soothed) soothe(world)
    soothed = true
    const { open } = world
    const busy = world.nodes().some((node) => !isAtRest(world, node))
    if (open === null && world.story.finished && !busy) {
      ended = true
      return
    }
    const back = open?.phase === 'recalling'
    // Every order and every stage is a step; a rollout that takes steps for ever is none that ends, either.
    const what =
      open === null ? `none ${world.rollouts.size}` : `${open.id} ${open.phase} ${open.stage} ${world.orders}`
    if (watched.what !== what) watched = { what, sinceMs: timeline.now }
    if (timeline.now - START_MS - scenario.faultsMs > LIMIT_MS) world.report('liveness', stuck(world))
    const late = timeline.now - watched.sinceMs > PATIENCE_MS
    const held = open !== null && open.hold !== null && !back
    if (!held && !late) return
    if (!held && !isExcused(world)) world.report('liveness', stuck(world))
    // Only a person can go on from here: and goes back.
    watched = { what: '', sinceMs: timeline.now }
    return world.operator().start((driver) => rollBack(world, driver, false))
  }
  timeline.after(LOOK_MS, look)
  await timeline.run(() => ended || world.violation !== null)
}

/** The faults are over: whoever lives is back, and says what it is. */
function soothe(world: World): void {
  world.storeAway = false
  world.wishes.push({ type: 'unheld' })
  for (const node of world.nodes()) {
    node.stalledUntilMs = 0
    node.start()
    node.mend()
  }
}

/** Nothing in hand, and hot as it is asked to be, unless it refuses that or stands parked; without a store its cold is waited for in vain. */
function isAtRest({ storeAway }: World, node: SimNode): boolean {
  const { state, dead, up } = node
  if (dead || state.phase === 'parked') return true
  const inHand = state.job !== null && !(storeAway && state.phase === 'idle')
  if (!up || inHand || (state.phase !== 'idle' && state.phase !== 'staged')) return false
  const wanted = asked(state).hot
  return wanted === null || same(wanted, state.hot)
}

/** A forward rollout may stand still for a reason that only a person can judge: nodes that failed or are dead. */
function isExcused(world: World): boolean {
  if (world.open === null || world.open.phase === 'recalling') return false
  const spent = world.nodes().some(({ dead, state }) => dead || state.phase === 'parked' || state.refusals.length > 0)
  if (world.because.some(({ code }) => code === 'ring-empty')) return true
  const judged = ['hold', 'cap-reached', 'nodes-silent', 'nodes-staging']
  return spent && world.because.some(({ code }) => judged.includes(code))
}

function stuck(world: World): string {
  const { open, because } = world
  const busy = world.nodes().filter((node) => !isAtRest(world, node))
  const nodes = busy.slice(0, 3).map(({ name, state }) => `${name} ${state.phase} on ${state.hot?.build ?? 'nothing'}`)
  const why = because.map(({ code, nodes: who = [] }) => `${code} ${who.slice(0, 5).join(' ')}`).join('; ')
  const rollout = open === null ? 'no rollout is open' : `${open.id} is still ${open.phase} (${why})`
  return `${rollout}; not at rest: ${nodes.join(', ') || 'nobody'}`
}

export function reportOf(world: World, { nodes, seed }: SimOptions): Report {
  const { timeline, turns, orders, violation, lastLines } = world
  const fleet = world.nodes()
  return {
    nodes,
    seed,
    violation,
    rollouts: Object.fromEntries([...world.rollouts.values()].map(({ id, phase }) => [id, phase])),
    virtualMs: timeline.now - START_MS,
    events: timeline.happened,
    turns,
    orders,
    swaps: fleet.reduce((sum, node) => sum + node.swaps, 0),
    fetchedBytes: fleet.reduce((sum, node) => sum + node.fetchedBytes, 0),
    lastLines: lastLines.slice(-40),
  }
}

// Owns when a simulation's faults strike: drawn once at the beginning, each an event in virtual time.
import type { Name } from '#fleet/build.ts'
import type { Fault } from './faults.ts'
import { BUILDS } from './names.ts'
import { rollBack } from './operator.ts'
import type { World } from './world.ts'

const text = new TextEncoder()

/** Everything that will go wrong by itself; what fares badly on its way is drawn as it goes (`ways.ts`). */
export function plot(world: World): void {
  const { dice, faults, timeline, scenario } = world
  const { faultsMs } = scenario
  const when = (latestMs = faultsMs): number => dice.between(1_000, Math.max(1_000, latestMs))
  const at = (fault: Fault, times: number, happen: () => void | Promise<void>): void => {
    for (let i = 0; faults.has(fault) && i < times; i += 1) timeline.after(when(), happen)
  }
  const nodes = world.nodes()
  const one = () => dice.pick(world.nodes())
  const tenth = Math.ceil(nodes.length / 10)

  at('silent', tenth, () => {
    const node = one()
    const down = dice.chance(0.4)
    if (down) node?.crash()
    else node?.cut()
    timeline.after(dice.between(15_000, 90_000), () => (down ? node?.start() : node?.mend()))
  })
  at('crash-node', 2 * tenth, () => {
    const node = one()
    node?.crash()
    timeline.after(dice.between(200, 20_000), () => node?.start())
  })
  at('stalls', tenth, () => {
    const node = one()
    if (node !== undefined) node.stalledUntilMs = timeline.now + dice.between(10_000, 100_000)
  })
  at('crash-conductor', dice.between(0, 2), () => dice.pick(world.drivers)?.kill())
  at('lease', dice.between(0, 2), () => world.losesLease())
  at('lease', 1, () => dice.pick(world.drivers)?.process.freeze(dice.between(1_000, 40_000)))
  at('by-hand', dice.chance(0.5) ? dice.between(1, 2) : 0, () => {
    const ring = dice.pick(scenario.rings)?.ring
    const build = dice.pick(BUILDS)
    if (ring !== undefined && build !== undefined) writeByHand(world, ring, build)
  })
  at('restore', dice.chance(0.4) ? 1 : 0, () => {
    const snapshot = world.records.snapshot()
    const { open } = world
    timeline.after(dice.between(2_000, 60_000), () => {
      // Of a moment ago. What turned back or ended since, or was written by hand, only a person could tell a conductor that has forgotten it.
      const same = world.open?.id === open?.id && (world.open?.phase === 'recalling') === (open?.phase === 'recalling')
      if (open !== null && same && world.byHand.size === 0) world.restore(snapshot)
    })
  })
  at('joiners', dice.between(0, 2), () => {
    const ring = dice.pick(scenario.rings)?.ring
    if (ring !== undefined) world.join(ring)
  })
  at('leavers', dice.between(0, 1), () => {
    const node = one()
    node?.kill()
    if (node !== undefined && dice.chance(0.7)) timeline.after(dice.between(40_000, 90_000), () => world.forget(node))
  })
  const regret = () => {
    const now = dice.chance(0.2)
    return world.operator().start((driver) => rollBack(world, driver, now))
  }
  at('operators', dice.chance(0.25) ? 1 : 0, regret)
  // Most of all when nodes are just about to obey.
  const after = faults.has('operators') && dice.chance(0.5) ? dice.between(2, 8) : null
  world.onOrder = (count) => {
    if (count === after) timeline.after(dice.chance(0.6) ? dice.between(50, 800) : dice.between(800, 8_000), regret)
  }
  at('operators', dice.chance(0.3) ? 1 : 0, () => {
    const hold = { by: 'ana', code: 'operator', reason: 'lunch', at: world.at() }
    world.wishes.push({ type: 'held', hold })
    timeline.after(dice.between(5_000, 40_000), () => void world.wishes.push({ type: 'unheld' }))
  })
  at('gates', dice.chance(0.4) ? 1 : 0, () =>
    world.gate(dice.chance(0.4) ? 'fail' : 'inconclusive', dice.between(1_000, 40_000)),
  )
  at('store', dice.chance(0.6) ? 1 : 0, () => {
    world.storeAway = true
    timeline.after(dice.between(5_000, 60_000), () => {
      world.storeAway = false
    })
  })
}

/** Break-glass, with no conductor asked. */
export function writeByHand(world: World, ring: Name, build: string): void {
  world.log('somebody', () => `writes ${build} to ${ring} by hand`)
  world.byHand.add(ring)
  world.records.put(world.keys.target(ring), text.encode(`${build}\n`))
  world.announce()
}

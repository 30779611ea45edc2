// Owns a simulated person who rolls back: asks whoever drives, and after three seconds without an answer takes the lease away.

import { memoryLedger } from '#adapters/memory/ledger.ts'
import { startRollback } from '#conductor/core/reversal.ts'
import { ringOf } from '#conductor/shell/observe.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { Driver } from './driver.ts'
import { APP } from './names.ts'
import type { World } from './world.ts'

const SIGNAL = new AbortController().signal
const PATIENCE_MS = 3_000
const LOOK_MS = 250

/** The work of a process of its own. @param now all nodes at once */
export async function rollBack(world: World, driver: Driver, now: boolean): Promise<void> {
  world.log(driver.name, () => `wants to roll back${now ? ' at once' : ''}`)
  const holder = await driver.locks.holder(SIGNAL)
  if (holder !== null && (await ask(world, driver, now))) return
  for (let tries = 0; driver.lease === null && tries < 20; tries += 1) {
    const held = await driver.locks.holder(SIGNAL)
    try {
      if (held === null) await driver.take('rollback')
      else driver.holds(await driver.locks.fence(held.session, driver.note('rollback'), SIGNAL))
    } catch (error) {
      if (!isFleetError(error, 'LEASE_HELD')) throw error
      await driver.process.sleep(100)
    }
  }
  await takeBack(world, driver)
  await driver.drive()
}

/** Whether the driver took it over. */
async function ask(world: World, driver: Driver, now: boolean): Promise<boolean> {
  const ledger = memoryLedger(world.records, { app: APP, clock: world.clock })
  const id = `q-${world.timeline.happened}`
  const expires = new Date(world.timeline.now + 2 * PATIENCE_MS).toISOString()
  await ledger.ask(
    { id, verb: 'rollback', args: { now, reason: '' }, by: driver.name, expires, generations: {} },
    SIGNAL,
  )
  world.told()
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += LOOK_MS) {
    await driver.process.sleep(LOOK_MS)
    if (world.records.get(world.keys.request(id)) === null) return true
  }
  await ledger.withdraw(id, SIGNAL)
  return false
}

async function takeBack(world: World, driver: Driver): Promise<void> {
  const seen = await driver.observe()
  const rings = world.scenario.rings.map(({ ring }) => ringOf(seen, ring))
  const builds = await world.catalog.list(SIGNAL)
  const wish = {
    app: APP,
    by: driver.name,
    reason: 'simulated',
    id: `b-${world.timeline.happened}`,
    at: world.at(),
    previous: false,
  }
  const start = startRollback(wish, { rings, rollout: seen.rollout, builds })
  const outcome = `rolled back by ${driver.name}`
  try {
    if (start.kind === 'turn') {
      await driver.write(seen, start.rollout, [{ type: 'recallBegun', cause: 'operator', outcome }])
    } else if (start.kind === 'reverse') {
      const [first] = start.rollouts
      if (first !== undefined) await driver.write(seen, first, [])
    }
  } catch (error) {
    // Somebody wrote in between or it is not known: whoever looks again sees what stands there now.
    if (!isFleetError(error)) throw error
    await driver.process.sleep(200)
    if (driver.lease !== null && error.code !== 'LEASE_LOST') await takeBack(world, driver)
  }
}

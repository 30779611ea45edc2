// Owns what the simulated catalog learns from a rollout: where a build proved good, and which may not be released again.
import type { RolloutEvent } from '#conductor/core/reduce.ts'
import type { Rollout } from '#fleet/rollout.ts'
import type { World } from './world.ts'

const SIGNAL = new AbortController().signal

export async function learn(world: World, rollout: Rollout, events: readonly RolloutEvent[]): Promise<void> {
  for (const event of events) {
    const good = event.type === 'ended' && event.phase === 'done'
    const bad = event.type === 'recallBegun' && event.cause !== 'operator' ? event.outcome : null
    const found = good || bad !== null ? await world.catalog.find(rollout.build, SIGNAL) : null
    if (found === null) continue
    const at = world.at()
    const rings = Object.fromEntries(rollout.stages.map(({ ring }) => [ring, at]))
    const proved = { ...found.entry, good: { ...found.entry.good, ...rings } }
    const entry = bad === null ? proved : { ...found.entry, quarantine: { by: 'conduct', reason: bad, at } }
    await world.catalog.put(entry, found.index, SIGNAL)
  }
}

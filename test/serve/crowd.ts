// Owns many nodes that only say how they are: their keys in a real Consul, held by living sessions, and written again at a steady pace.
import type { ConsulClient } from '#adapters/consul/client.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import { writeStatus } from '#fleet/wire.ts'
import { A } from '#test/support/rollout-sim.ts'

export interface Crowd {
  readonly names: readonly Name[]
  /** Writes `perSecond` statuses a second, of one node after the other, until the signal aborts. @returns how many */
  speak(perSecond: number, signal: AbortSignal): Promise<number>
}

interface Of {
  readonly app: Name
  readonly ring: Name
  readonly nodes: number
  readonly generation: number
}

/** How many sessions hold the keys: a session is renewed by its node, which costs whoever reads nothing. */
const SESSIONS = 10
const RENEW_MS = 10_000
const AT_ONCE = 16

/** Every node is on A, and alive until the signal aborts. */
export async function gather(client: ConsulClient, of: Of, signal: AbortSignal): Promise<Crowd> {
  const keys = client.keys(of.app)
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => client.createSession('crowd', 30, signal)))
  void keep(client, sessions, signal)
  const names = Array.from({ length: of.nodes }, (_, i) => `web-${String(i + 1).padStart(5, '0')}` as Name)
  const say = async (i: number, change: Partial<NodeStatus> = {}): Promise<void> => {
    const node = names[i % names.length] as Name
    const session = sessions[i % SESSIONS] ?? ''
    const status = { ...statusOf(of, node), ...change, at: new Date().toISOString() }
    await client.acquire(keys.node(of.ring, node), writeStatus(status), session, signal)
  }
  let next = 0
  const writers = Array.from({ length: AT_ONCE }, async () => {
    while (next < names.length) {
      next += 1
      await say(next - 1)
    }
  })
  await Promise.all(writers)
  return {
    names,
    async speak(perSecond, until) {
      const began = systemClock.monotonic()
      let said = 0
      while (!until.aborted) {
        const dueMs = began + (said * 1_000) / perSecond
        await systemClock.sleep(Math.max(0, dueMs - systemClock.monotonic()), until).catch(() => undefined)
        if (until.aborted) break
        // Steps through the crowd: neighbours lie apart.
        await say(said * 7, { troubles: [{ code: 'COLD_BUSY', message: `a status of its own, the ${said}th` }] })
        said += 1
      }
      return said
    },
  }
}

function statusOf({ app, ring, generation }: Of, node: Name): NodeStatus {
  const at = new Date().toISOString()
  const [hot, cold]: (BuildId | null)[] = [A, null]
  const rest = {
    armed: true,
    rollout: 'r-20261122-160430-3f2a',
    attempt: 1,
    refusal: null,
    troubles: [],
    progress: null,
  }
  return { app, ring, node, phase: 'idle', hot: hot ?? null, cold: cold ?? null, generation, at, ...rest }
}

async function keep(client: ConsulClient, sessions: readonly string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await systemClock.sleep(RENEW_MS, signal).catch(() => undefined)
    for (const session of signal.aborted ? [] : sessions)
      await client.renewSession(session, signal).catch(() => undefined)
  }
}

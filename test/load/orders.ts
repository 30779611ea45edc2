// Owns the orders of the load proof: rollouts back and forth between two builds, node by node as a conductor raises the cutoff.
import type { TestContext } from 'node:test'
import { connectConsul } from '#adapters/consul/client.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import { ALL, place, type Target } from '#fleet/target.ts'
import { readCatalogEntry, readStatus, writeTarget } from '#fleet/wire.ts'

const APP = 'web' as Name
const NODE_LIMIT_MS = 90_000
/** One blocking query; a quiet one is asked again. */
const WAIT_MS = 5_000

export interface Orders {
  /** The first build, on every node at once: there is nothing to drain yet. */
  install(build: string): Promise<void>
  /**
   * One rollout: `build` is staged on every node under cutoff 0, then the cutoff rises over one node's place after the other; each is
   * waited for until it is in service again, so that no two are out together.
   * @param most nodes to take, for a rollout that is cut short; the record that settles it is then left out
   */
  rollout(build: string, fallback: string, most: number, onNode: (node: string) => Promise<void>): Promise<void>
}

/** Writes with the conductor's own encoder and reads the statuses as it does. */
export function openOrders(
  t: Pick<TestContext, 'after'>,
  consulUrl: string,
  ring: Name,
  nodes: readonly string[],
): Orders {
  const client = connectConsul({ url: consulUrl, waitMs: WAIT_MS }, { clock: systemClock, log: silentLogger })
  t.after(() => client.close())
  const keys = client.keys(APP)
  const over = new AbortController().signal
  let generation = 0

  async function manifestOf(build: string): Promise<Digest> {
    const { value } = await client.get(keys.build(build), over)
    if (value === null) throw new Error(`${build} is not in the catalog`)
    return readCatalogEntry(value.value).manifest
  }

  async function write(
    order: Pick<Target, 'build' | 'manifest' | 'fallback' | 'fallbackManifest' | 'cutoff' | 'rollout'>,
  ) {
    generation += 1
    const told = { by: 'load proof', reason: '', at: new Date().toISOString() }
    const fixed = { app: APP, ring, recall: false, attempt: 1, activation: null }
    await client.put(
      keys.target(ring),
      writeTarget({ ...fixed, ...told, generation, salt: order.rollout, ...order }),
      over,
    )
  }

  /** Waits for the node's own word. @throws Error when it refuses, parks or stays silent instead */
  async function reported(node: string, what: string, fits: (status: NodeStatus) => boolean): Promise<void> {
    const limitMs = performance.now() + NODE_LIMIT_MS
    for (let index = 0; ; ) {
      const { value, meta } = await client.get(keys.node(ring, node), over, { index })
      index = meta.index
      const status = value === null ? null : readStatus(value.value)
      const current = status !== null && status.generation >= generation
      if (current && fits(status)) return
      const stuck = status?.phase === 'parked' || status?.refusal != null
      if (stuck || performance.now() > limitMs) throw new Error(`${node} is not ${what}: ${JSON.stringify(status)}`)
    }
  }

  const atRest = ({ phase }: NodeStatus): boolean => phase === 'idle' || phase === 'staged'
  const inService = (node: string, build: string) =>
    reported(node, `in service with ${build}`, (status) => atRest(status) && status.hot === build)

  return {
    async install(build) {
      const [manifest, fallback, rollout] = [await manifestOf(build), null, 'first']
      await write({ build: build as BuildId, manifest, fallback, fallbackManifest: null, cutoff: ALL, rollout })
      await Promise.all(nodes.map((node) => inService(node, build)))
    },
    async rollout(build, fallback, most, onNode) {
      const rollout = `r-${generation + 1}`
      const [manifest, fallbackManifest] = [await manifestOf(build), await manifestOf(fallback)]
      const raise = (cutoff: number) =>
        write({ build: build as BuildId, manifest, fallback: fallback as BuildId, fallbackManifest, cutoff, rollout })
      const inTurn = nodes.toSorted((one, other) => place(rollout, one) - place(rollout, other))
      await raise(0)
      const ready = ({ phase, hot, cold }: NodeStatus) => phase === 'staged' && hot === fallback && cold === build
      await Promise.all(nodes.map((node) => reported(node, `ready for ${build}`, ready)))
      for (const [at, node] of inTurn.slice(0, most).entries()) {
        await raise(at === inTurn.length - 1 ? ALL : place(rollout, node) + 1)
        await inService(node, build)
        await onNode(node)
      }
    },
  }
}

// Owns what a stranger sees of a rollout: blocking queries on Consul's keys by plain HTTP, with nothing of the conductor's.
import type { TestContext } from 'node:test'
import { labelOf, type Told } from '#test/support/txn-door.ts'

const BASE = 'hotcold/v1/web'

interface Entry {
  readonly Key: string
  readonly Value: string
}

export interface Witness {
  /** Every event of the history since it began to watch, oldest first. */
  readonly events: readonly Told[]
  readonly labels: readonly string[]
  /** Each stage in which the record of a rollout was seen, as `id stage`, without repeats in a row. */
  readonly stages: readonly string[]
  /** Per ring each order that was seen: generation, build and cutoff, without repeats in a row. */
  readonly orders: Readonly<Record<string, readonly Order[]>>
}

export interface Order {
  readonly generation: number
  readonly build: string | null
  readonly cutoff: number
}

/** Watches until the test is over. What stands when it starts is not part of what it saw. */
export async function watch(t: TestContext, url: string, rings: readonly string[]): Promise<Witness> {
  const stop = new AbortController()
  const events: Told[] = []
  const stages: string[] = []
  const orders: Record<string, Order[]> = {}
  let known = new Set<string>()

  const history = (entries: readonly Entry[], first: boolean) => {
    if (first) known = new Set(entries.map(({ Key }) => Key))
    for (const { Key, Value } of entries.toSorted((a, b) => (a.Key < b.Key ? -1 : 1))) {
      if (known.has(Key)) continue
      known.add(Key)
      events.push(json<Told>(Value))
    }
  }
  const rollout = ([entry]: readonly Entry[], first: boolean) => {
    if (first || entry === undefined) return
    const { id, stage } = json<{ id: string; stage: number }>(entry.Value)
    if (stages.at(-1) !== `${id} ${stage}`) stages.push(`${id} ${stage}`)
  }
  const target = (ring: string) => {
    const seen: Order[] = []
    orders[ring] = seen
    return ([entry]: readonly Entry[]) => {
      if (entry === undefined) return
      const { generation, build, cutoff } = json<Order>(entry.Value)
      seen.push({ generation, build, cutoff })
    }
  }
  const looks = [
    look(`${url}/v1/kv/${BASE}/history/?recurse`, history, stop.signal),
    look(`${url}/v1/kv/${BASE}/rollout?`, rollout, stop.signal),
    ...rings.map((ring) => look(`${url}/v1/kv/${BASE}/${ring}/target?`, target(ring), stop.signal)),
  ]
  t.after(async () => {
    stop.abort()
    await Promise.all(looks.map(({ end }) => end))
  })
  await Promise.all(looks.map(({ begun }) => begun))
  return {
    events,
    get labels() {
      return events.map(labelOf)
    },
    stages,
    orders,
  }
}

function json<value>(base64: string): value {
  return JSON.parse(Buffer.from(base64, 'base64').toString()) as value
}

function look(url: string, see: (entries: readonly Entry[], first: boolean) => void, signal: AbortSignal) {
  const { promise: begun, resolve, reject } = Promise.withResolvers<void>()
  const end = (async () => {
    for (let index = '0'; !signal.aborted; ) {
      const answer = await fetch(`${url}&wait=30s&index=${index}`, { signal })
      const text = await answer.text()
      const next = answer.headers.get('x-consul-index') ?? '0'
      if (next !== index) see(answer.status === 404 ? [] : (JSON.parse(text) as Entry[]), index === '0')
      index = next
      resolve()
    }
  })().catch((error: unknown) => {
    if (!signal.aborted) reject(error)
  })
  return { begun, end }
}

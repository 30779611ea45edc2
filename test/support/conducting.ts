// Owns calling `conduct` as a function, against a ring of nodes that live in this process and report by the real status sink.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import { catalog } from '#adapters/consul/catalog.ts'
import { type ConsulClient, connectConsul } from '#adapters/consul/client.ts'
import { targetFeed } from '#adapters/consul/feed.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { locks } from '#adapters/consul/locks.ts'
import { statusSink } from '#adapters/consul/sink.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { World } from '#conductor/cli/world.ts'
import { CUSTOMARY_RINGS } from '#conductor/config.ts'
import { main } from '#conductor/main.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import type { CatalogEntry, Clock, Logger, StatusSink } from '#fleet/ports.ts'
import { readBare, targetOfBare } from '#fleet/target.ts'
import { readTarget } from '#fleet/wire.ts'
import { APP, digestFor, RING, SimNode, settledOn } from './rollout-sim.ts'
import { tmp } from './tmp.ts'
import { entryOf } from './wishes.ts'

const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A `conduct` that is running, and may be interrupted as by Ctrl-C. */
export interface Running {
  readonly end: Promise<Said>
  interrupt(): void
  stdout(): string
  stderr(): string
}

export interface Conducting {
  readonly client: ConsulClient
  readonly nodes: readonly LiveNode[]
  readonly ledger: ReturnType<typeof ledger>
  readonly locks: ReturnType<typeof locks>
  /** Builds that fail their verification on every node. */
  readonly broken: Set<string>
  conduct(...argv: readonly string[]): Promise<Said>
  start(...argv: readonly string[]): Running
  /** Where its config lies, and commands of its plan are looked for. */
  readonly dir: string
  publish(build: BuildId, more?: Partial<CatalogEntry>): Promise<void>
  put(ring: string, value: string): Promise<void>
  get(ring: string): Promise<string | null>
  delete(ring: string): Promise<void>
}

/** A node that hears its ring's key, works in small steps, and says where it stands. */
class LiveNode extends SimNode {
  private readonly sink: StatusSink
  private last = ''

  constructor(name: string, sink: StatusSink) {
    super(name, settledOn(null, null, -1), null, null)
    this.sink = sink
  }

  hear(raw: Uint8Array, ring: Name): void {
    try {
      const text = new TextDecoder().decode(raw)
      const bare = raw.length < 200 ? readBare(text) : null
      const context = { app: APP, ring, generation: Math.max(0, this.accepted.generation), at: '' }
      const target =
        bare === null
          ? readTarget(raw, { app: APP, ring })
          : targetOfBare(bare, { ...context, manifest: digestFor(bare.build) })
      if (
        target.generation < this.accepted.generation ||
        (bare === null && target.generation === this.accepted.generation)
      )
        return
      this.accept(target)
    } catch {
      // Last good kept, as a puller does.
    }
  }

  private saying: Promise<void> = Promise.resolve()

  async say(ring: Name, signal: AbortSignal): Promise<void> {
    const status = { ...this.status(), ring, at: new Date().toISOString() }
    const { at: _at, ...rest } = status
    if (this.silent || JSON.stringify(rest) === this.last) return
    this.saying = this.sink.publish(status, signal)
    await this.saying
    this.last = JSON.stringify(rest)
  }

  /** Dies: its session ends, its last status stays. */
  async die(): Promise<void> {
    this.silent = true
    // Words that are on their way would give it a session again.
    await this.saying.catch(() => undefined)
    await this.sink.close()
  }
}

/** A small world on a Consul: `nodes` per ring, and `conduct` as a function in it. */
export async function conducting(
  t: TestContext,
  options: {
    readonly url: string
    readonly nodes: number
    readonly rings?: readonly string[]
    readonly init?: boolean
    readonly env?: Readonly<Record<string, string>>
    /** More of the config; `plan: null` leaves it without any, so that the customary one counts. Else each ring goes to all of it at once. */
    readonly config?: Readonly<Record<string, unknown>>
  },
): Promise<Conducting> {
  const { url, rings = [RING] } = options
  const clock = systemClock
  const client = connectConsul({ url }, { clock, log: quiet })
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await Promise.all(living)
    await Promise.all(nodes.map((node) => node.die()))
    client.close()
  })
  const book = ledger(client, { app: APP })
  // A key that is missing is looked for only now and then: nodes start where it is there.
  if (options.init !== false) await book.init(rings as readonly Name[], stop.signal)
  const broken = new Set<string>()
  const living: Promise<void>[] = []
  const nodes: LiveNode[] = []
  for (const ring of rings as readonly Name[]) {
    for (let i = 0; i < options.nodes; i += 1) {
      const name = `${ring}-${i + 1}` as Name
      const sink = statusSink(client, { app: APP, ring, node: name, shelf: shelf() })
      const node = new LiveNode(name, sink)
      nodes.push(node)
      living.push(live(client, node, ring, broken, stop.signal))
    }
  }
  const store = catalog(client, { app: APP })
  const key = (ring: string) => client.keys(APP).target(ring)
  const dir = await tmp(t, 'conducting')
  const file = join(dir, 'hotcold.yaml')
  await writeFile(file, stringify(configOf(rings, options.config ?? {})))
  const env = { ...options.env, HOTCOLD_CONFIG: file }
  const start = (...argv: readonly string[]): Running => run([...argv, '--app', APP, '--consul', url], env)
  return {
    client,
    nodes,
    broken,
    ledger: book,
    locks: locks(client, { app: APP }),
    start,
    dir,
    conduct: (...argv) => start(...argv).end,
    publish: (build, more = {}) => store.put({ ...entryOf(build), ...more }, 0, stop.signal),
    put: (ring, value) => client.put(key(ring), new TextEncoder().encode(value), stop.signal),
    get: async (ring) => {
      const { value } = await client.get(key(ring), stop.signal)
      return value === null ? null : new TextDecoder().decode(value.value)
    },
    delete: async (ring) => void (await client.delete(key(ring), stop.signal)),
  }
}

/** In the order of the customary path, as without a config. */
function configOf(rings: readonly string[], { plan, ...more }: Readonly<Record<string, unknown>>) {
  if (plan === null) return { app: APP, ...more }
  if (plan !== undefined) return { app: APP, plan, ...more }
  const customary = CUSTOMARY_RINGS.filter((ring) => rings.includes(ring))
  return { app: APP, rings: [...customary, ...rings.filter((ring) => !customary.includes(ring as Name))], ...more }
}

function shelf() {
  let id: string | null = null
  return {
    load: async () => id,
    save: async (next: string) => {
      id = next
    },
  }
}

async function live(
  client: ConsulClient,
  node: LiveNode,
  ring: Name,
  broken: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const feed = targetFeed(client, { app: APP, ring })
  let raw: Uint8Array | null = null
  const hearing = (async () => {
    for await (const event of feed.watch(signal)) {
      if (event.type === 'reading' && event.reading.kind === 'value') raw = event.reading.raw
    }
  })()
  while (!signal.aborted) {
    if (raw !== null) node.hear(raw, ring)
    node.work((build) => !broken.has(build))
    await node.say(ring, signal).catch(() => undefined)
    await systemClock.sleep(15, signal).catch(() => undefined)
  }
  await hearing.catch(() => undefined)
}

/** Runs one command line in this process, as on a pipe, or as on a terminal. */
export function run(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = '/',
  terminal: { readonly isTTY?: boolean; readonly columns?: number } = {},
  clock: Clock = systemClock,
): Running {
  let stdout = ''
  let stderr = ''
  const stop = new AbortController()
  const world: World = {
    stdout: {
      ...terminal,
      write: (text: string) => {
        stdout += text
      },
    },
    stderr: {
      ...terminal,
      write: (text: string) => {
        stderr += text
      },
    },
    env,
    cwd,
    clock,
    signal: stop.signal,
    hostname: 'desk',
    user: 'ana',
  }
  const end = main(argv, world).then((code) => ({ code, stdout, stderr }))
  return { end, interrupt: () => stop.abort(new Error('ended by SIGINT')), stdout: () => stdout, stderr: () => stderr }
}

// Owns the demo's Consul: a `consul` binary where one is found, the embedded agent where there is none.
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import type { Clock } from '#fleet/ports.ts'
import { type Children, PROJECT } from './children.ts'

export interface DemoConsul {
  readonly url: string
  /** For people: which one it took. */
  readonly what: string
}

/** Where `.ci/components` puts it. */
const FETCHED = join(PROJECT, '.cache/consul/root/usr/bin/consul')
const READY_LIMIT_MS = 15_000
const LOOK_MS = 50

type Env = Readonly<Record<string, string | undefined>>

function findBinary(env: Env): string | null {
  const candidates = (env.PATH ?? '').split(delimiter).filter((dir) => dir !== '')
  return [...candidates.map((dir) => join(dir, 'consul')), FETCHED].find((path) => existsSync(path)) ?? null
}

/** Free ports, held together while they are picked so that no two are the same. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(0, '127.0.0.1', () => resolve())
      })
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Starts a Consul for one demo and waits until it takes writes. @param embedded take the embedded agent even where there is a binary */
export async function startConsul(
  dir: string,
  running: Children,
  world: { readonly env: Env; readonly clock: Clock },
  embedded: boolean,
): Promise<DemoConsul> {
  const { env, clock } = world
  const binary = embedded ? null : findBinary(env)
  const [http = 0, server = 0, serf = 0, wan = 0] = await freePorts(4)
  const url = `http://127.0.0.1:${http}`
  const argv =
    binary === null
      ? [process.execPath, join(PROJECT, 'adapters/consul/agent/main.ts'), '--port', String(http)]
      : [
          ...[binary, 'agent', '-dev', '-bind', '127.0.0.1', '-client', '127.0.0.1', '-log-level', 'warn'],
          ...['-http-port', String(http), '-server-port', String(server), '-serf-lan-port', String(serf)],
          ...['-serf-wan-port', String(wan), '-dns-port', '-1', '-grpc-port', '-1'],
        ]
  const child = running.start(argv, { env, logFile: join(dir, 'consul.log') })
  const end = clock.monotonic() + READY_LIMIT_MS
  while (!(await takesWrites(url))) {
    if (child.exitCode !== null || clock.monotonic() > end) {
      throw new Error(`Consul (${binary ?? 'embedded'}) did not get ready: see ${join(dir, 'consul.log')}`)
    }
    await clock.sleep(LOOK_MS)
  }
  const why = embedded ? '' : ' (no consul binary was found)'
  return { url, what: binary === null ? `the embedded agent${why}` : `${binary}, started for the demo` }
}

/** A fresh leader answers reads a moment before it registers its own node, and refuses sessions until then. */
async function takesWrites(url: string): Promise<boolean> {
  try {
    const leader = await fetch(`${url}/v1/status/leader`)
    if (!leader.ok || (await leader.text()).length < 5) return false
    const session = await fetch(`${url}/v1/session/create`, { method: 'PUT', body: '{"TTL":"10s","LockDelay":"0s"}' })
    return session.ok
  } catch {
    return false
  }
}

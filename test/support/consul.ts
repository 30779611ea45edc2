// Owns real Consul in tests: one agent, or a cluster of three servers, each on a loopback address of its own, gone when the test is over.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { startAgent } from '#adapters/consul/agent/agent.ts'
import { ended, freeze, hasEnded, mortal } from './child.ts'
import { tmp } from './tmp.ts'
import { until } from './until.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
/** Where `.ci/components` puts the binary. */
export const CONSUL_BINARY = join(REPOSITORY, '.cache/consul/root/usr/bin/consul')

const MASTER_TOKEN = '2b778dd9-f5f1-6f29-b4b4-9a5fa948757a'

export interface ConsulOptions {
  /** ACLs with `default_policy = "deny"`; `token` is then one that may do everything. */
  readonly acl?: boolean
  /** A data directory on disk, so that a restart keeps what was written (a start takes 2 s longer). */
  readonly persistent?: boolean
  /** `limits.http_max_conns_per_client`; 800 unless told. Consul's own default is 200, and all of a test is one client to it. */
  readonly maxConnections?: number
  /** Further configuration, merged over ours. */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface ConsulServer {
  readonly url: string
  /** The loopback address it alone uses. */
  readonly address: string
  readonly binary: string
  /** For a child process: tells the `consul` command line where this server is. */
  readonly env: Readonly<Record<string, string>>
  /** May do everything; null without ACLs. */
  readonly token: string | null
  readonly pid: number
  readonly kv: {
    put(key: string, value: string): Promise<void>
    get(key: string): Promise<string | null>
    delete(key: string): Promise<void>
  }
  /** Runs the real `consul` command line; returns its stdout. @throws when it exits with anything but 0 */
  cli(...args: readonly string[]): Promise<string>
  /** Creates a token with these policy rules (HCL) and returns its secret. */
  tokenFor(rules: string): Promise<string>
  log(): Promise<string>
  /** Resolves when it leads and takes sessions. @throws with its log when it ended instead */
  ready(): Promise<void>
  /** SIGTERM, and waits for the end. Calling it again is fine. */
  stop(): Promise<void>
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>
  /** Starts it again after `stop` or `kill`, on the same address; only a persistent one still knows what it knew. */
  start(): Promise<void>
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): Promise<void>
  /** SIGCONT. */
  resume(): void
}

type Cleanup = Pick<TestContext, 'after'>

/** A loopback address that nobody else is likely to use, so that fixed ports never clash between tests that run side by side. */
function loopbackAddress(): string {
  return `127.${randomInt(64, 128)}.${randomInt(1, 255)}.${randomInt(1, 255)}`
}

async function answers(url: string, token: string | null): Promise<boolean> {
  const headers: Record<string, string> = token === null ? {} : { 'X-Consul-Token': token }
  const signal = AbortSignal.timeout(2_000)
  const leader = await fetch(`${url}/v1/status/leader`, { headers, signal })
  if (!leader.ok || (await leader.text()).length < 5) return false
  // A leader that was just elected refuses sessions until it has registered its own node; ACLs take a moment longer.
  const nodes = await fetch(`${url}/v1/catalog/nodes`, { headers, signal })
  if (!nodes.ok || (await nodes.text()) === '[]') return false
  return token === null || (await fetch(`${url}/v1/acl/policies`, { headers, signal })).ok
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return
  child.kill(signal)
  // A stopped process takes its TERM only when it goes on.
  if (signal !== 'SIGKILL') child.kill('SIGCONT')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended(child)
  clearTimeout(timer)
}

function launch({ dir, flags }: Node): ChildProcess {
  const out = openSync(join(dir, 'log'), 'a')
  try {
    return spawn(...mortal(CONSUL_BINARY, 'agent', '-config-file', join(dir, 'config.json'), ...flags), {
      stdio: ['ignore', out, out],
    })
  } finally {
    closeSync(out)
  }
}

interface Node {
  readonly dir: string
  readonly address: string
  readonly token: string | null
  readonly flags: readonly string[]
  readonly config: Readonly<Record<string, unknown>>
}

async function server(t: Cleanup, node: Node): Promise<ConsulServer> {
  const { dir, address, token } = node
  if (!existsSync(CONSUL_BINARY)) throw new Error('there is no Consul yet: run .ci/components')
  const url = `http://${address}:8500`
  await mkdir(join(dir, 'data'), { recursive: true })
  await writeFile(join(dir, 'config.json'), JSON.stringify(node.config))
  let child = launch(node)
  t.after(() => end(child, 'SIGKILL'))
  const env = { CONSUL_HTTP_ADDR: url, ...(token !== null && { CONSUL_HTTP_TOKEN: token }) }
  const cli = async (...args: readonly string[]) => {
    const { stdout } = await promisify(execFile)(CONSUL_BINARY, args, { env: { ...process.env, ...env } })
    return stdout
  }
  const kv = async (method: string, key: string, body: string | null) => {
    const headers: Record<string, string> = token === null ? {} : { 'X-Consul-Token': token }
    const path = `${url}/v1/kv/${key}${method === 'GET' ? '?raw' : ''}`
    const answer = await fetch(path, { method, headers, body })
    const text = await answer.text()
    if (!answer.ok && answer.status !== 404) throw new Error(`${method} ${key}: ${answer.status} ${text}`)
    return answer.status === 404 ? null : text
  }
  const log = () => readFile(join(dir, 'log'), 'utf8')
  const ready = async () => {
    await until('Consul leads', () => hasEnded(child) || answers(url, token).catch(() => false), 30_000)
    if (hasEnded(child)) throw new Error(`Consul did not start:\n${await log()}`)
  }
  return {
    url,
    address,
    binary: CONSUL_BINARY,
    env,
    token,
    get pid() {
      return child.pid ?? 0
    },
    kv: {
      put: async (key, value) => void (await kv('PUT', key, value)),
      get: (key) => kv('GET', key, null),
      delete: async (key) => void (await kv('DELETE', key, null)),
    },
    cli,
    tokenFor: async (rules) => {
      const headers = { 'X-Consul-Token': token ?? '' }
      const name = `test-${randomInt(1e9)}`
      const made = await fetch(`${url}/v1/acl/policy`, {
        method: 'PUT',
        headers,
        body: JSON.stringify({ Name: name, Rules: rules }),
      })
      if (!made.ok) throw new Error(`the policy was refused: ${await made.text()}`)
      const body = JSON.stringify({ Policies: [{ Name: name }] })
      const answer = await fetch(`${url}/v1/acl/token`, { method: 'PUT', headers, body })
      return ((await answer.json()) as { SecretID: string }).SecretID
    },
    log,
    ready,
    stop: () => end(child, 'SIGTERM'),
    kill: () => end(child, 'SIGKILL'),
    start: async () => {
      child = launch(node)
      await ready()
    },
    pause: () => freeze(child),
    resume: () => void child.kill('SIGCONT'),
  }
}

function configOf(address: string, dir: string, options: ConsulOptions): Record<string, unknown> {
  return {
    server: true,
    bind_addr: address,
    client_addr: address,
    data_dir: join(dir, 'data'),
    disable_update_check: true,
    log_level: 'warn',
    ports: { dns: -1, grpc: -1, serf_wan: -1 },
    connect: { enabled: false },
    performance: { raft_multiplier: 1 },
    limits: { http_max_conns_per_client: options.maxConnections ?? 800 },
    ...(options.acl && {
      acl: { enabled: true, default_policy: 'deny', down_policy: 'extend-cache', tokens: { master: MASTER_TOKEN } },
      primary_datacenter: 'dc1',
    }),
  }
}

/** A real Consul agent (one server) that leads when this returns: 0.3 s in memory. Ended by `t.after`. */
export async function startConsul(t: Cleanup, options: ConsulOptions = {}): Promise<ConsulServer> {
  const dir = await tmp(t as TestContext, 'consul')
  const address = loopbackAddress()
  const token = options.acl ? MASTER_TOKEN : null
  const flags = options.persistent ? ['-bootstrap-expect=1'] : ['-dev']
  const config = { node_name: 'test', ...configOf(address, dir, options), ...options.config }
  const running = await server(t, { dir, address, token, flags, config })
  await running.ready()
  return running
}

/** Three servers that elect a leader among them (2 s); all are ended by `t.after`. */
export async function startCluster(t: Cleanup, options: ConsulOptions = {}): Promise<Cluster> {
  const addresses = [loopbackAddress(), loopbackAddress(), loopbackAddress()]
  const token = options.acl ? MASTER_TOKEN : null
  const servers = await Promise.all(
    addresses.map(async (address, i) => {
      const dir = await tmp(t as TestContext, 'consul')
      const join3 = { bootstrap_expect: 3, retry_join: addresses, retry_interval: '200ms', node_name: `s${i + 1}` }
      return server(t, {
        dir,
        address,
        token,
        flags: [],
        config: { ...configOf(address, dir, options), ...join3, ...options.config },
      })
    }),
  )
  await Promise.all(servers.map((one) => one.ready()))
  return {
    servers,
    leader: async () => {
      for (const one of servers) {
        const text = await fetch(`${one.url}/v1/status/leader`, { signal: AbortSignal.timeout(1_000) })
          .then((answer) => answer.text())
          .catch(() => '""')
        const found = servers.find((other) => text.startsWith(`"${other.address}:`))
        if (found) return found
      }
      return null
    },
  }
}

export interface Cluster {
  readonly servers: readonly ConsulServer[]
  /** Who leads now by what the living servers say, or null. */
  leader(): Promise<ConsulServer | null>
}

/** A Consul to test against, of either making. */
export interface ConsulWorld {
  readonly name: 'embedded agent' | 'real Consul'
  /** @param options.minTtlMs sessions with a shorter TTL are refused; 10 s, Consul's own, unless told */
  start(t: Cleanup, options?: { readonly minTtlMs?: number }): Promise<{ readonly url: string }>
}

/** Both worlds: `for (const world of consulWorlds()) test(`${world.name}: …`, …)` runs one suite on each. */
export function consulWorlds(): readonly ConsulWorld[] {
  return [
    {
      name: 'embedded agent',
      start: async (t, options = {}) => {
        const agent = await startAgent(options)
        t.after(() => agent.close())
        return agent
      },
    },
    {
      name: 'real Consul',
      start: (t, { minTtlMs = 10_000 } = {}) => startConsul(t, { config: { session_ttl_min: `${minTtlMs}ms` } }),
    },
  ]
}

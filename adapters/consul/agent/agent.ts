// Owns the start and the end of the embedded agent: Consul 1.8's keys, sessions, transactions and blocking queries over HTTP, in memory.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '#adapters/runtime/clock.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Clock } from '#fleet/ports.ts'
import { Expiry } from './expiry.ts'
import { type AgentRequest, HttpError, readBody, send, text } from './http.ts'
import { answer, limitNameOf } from './routes.ts'
import { State } from './state.ts'
import { Waiters } from './waiting.ts'

export interface AgentOptions {
  /** 127.0.0.1 unless told: there are no access rules here. */
  readonly host?: string
  /** 0 (the default) takes a free one. */
  readonly port?: number
  readonly clock?: Clock
  /** Sessions with a shorter TTL are refused; 10 s, as in Consul. */
  readonly minTtlMs?: number
}

export interface RunningAgent {
  readonly url: string
  /** Answers everyone who waits, then closes the connections. What was written is gone. */
  close(): Promise<void>
}

/** What the routes work on. */
export interface Agent {
  readonly state: State
  readonly waiters: Waiters
  readonly expiry: Expiry
  readonly clock: Clock
  readonly node: string
  readonly minTtlMs: number
  /** `host:port`, known once it listens. */
  address(): string
}

/**
 * Starts an agent for trying things out where no Consul is installed. It is alone (always leader, never stale), keeps everything in
 * memory, and has no access rules: loopback only.
 * @throws FleetError `CONSUL_UNREACHABLE` when the port is taken
 */
export async function startAgent(options: AgentOptions = {}): Promise<RunningAgent> {
  const { host = '127.0.0.1', port = 0, clock = systemClock, minTtlMs = 10_000 } = options
  const waiters = new Waiters(clock)
  const state = new State((change) => waiters.notify(change))
  const closing = new AbortController()
  const server = createServer((message, response) => void serve(agent, message, response, closing.signal))
  // Connections of watchers rest for minutes, as with Consul.
  server.keepAliveTimeout = 0
  server.requestTimeout = 0
  const agent: Agent = {
    state,
    waiters,
    expiry: new Expiry(clock),
    clock,
    node: 'embedded',
    minTtlMs,
    address: () => `${host}:${(server.address() as AddressInfo).port}`,
  }
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (cause) {
    throw new FleetError('CONSUL_UNREACHABLE', `the embedded agent cannot listen on ${host}:${port}`, { cause })
  }
  return {
    url: `http://${agent.address()}`,
    close: async () => {
      agent.expiry.stopAll()
      closing.abort()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      // Those who were answered just now get their bytes before the connections go.
      setImmediate(() => setImmediate(() => server.closeAllConnections()))
      await closed
    },
  }
}

async function serve(
  agent: Agent,
  message: IncomingMessage,
  response: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  response.once('error', () => gone.abort())
  try {
    const request = await readRequest(message, AbortSignal.any([gone.signal, closing]))
    send(response, await answer(agent, request))
  } catch (error) {
    // A client that went away in the middle of its body hears nothing; one that sent too much hears why.
    if (error instanceof HttpError) send(response, text(error.status, error.message, error.headers))
    else response.destroy()
  }
}

async function readRequest(message: IncomingMessage, signal: AbortSignal): Promise<AgentRequest> {
  const [rawPath = '/', ...query] = (message.url ?? '/').split('?')
  let path: string
  try {
    path = decodeURIComponent(rawPath)
  } catch {
    throw new HttpError(400, 'invalid URL escape')
  }
  const body = await readBody(message, limitNameOf(path))
  return { method: message.method ?? 'GET', path, query: new URLSearchParams(query.join('?')), body, signal }
}

// Owns the daemon's door: an HTTP server that answers only whom it knows by name, reads only, and cannot be held open by a slow caller.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { FleetError } from '#fleet/errors.ts'
import type { Logger } from '#fleet/ports.ts'

// Not imported: see docs/decisions/0013.
const { createServer } = process.getBuiltinModule('node:http')

/** What a route answers: a status and a JSON value, or text of another type. */
export interface Reply {
  readonly code: number
  readonly body: unknown
  readonly type?: string
}

/** Null: the handler has taken the response over. */
export type Handler = (query: URLSearchParams, exchange: Exchange) => Promise<Reply | null>

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

export interface DoorOptions {
  /** `address:port`; port 0 for a free one. */
  readonly listen: string
  /** Names beside `localhost` and addresses by which it may be called. */
  readonly hosts: readonly string[]
  readonly routes: Readonly<Record<string, Handler>>
  readonly log: Logger
}

export interface Door {
  /** Host and port. */
  readonly address: string
  close(): Promise<void>
}

/** Nobody may cache, frame, sniff or script what is served here. No CORS: another origin's pages get nothing. */
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
} as const

const CONNECTIONS_MOST = 256

/** @throws FleetError `CONFIG_INVALID` when it cannot be had */
export async function openDoor(options: DoorOptions): Promise<Door> {
  const { listen } = options
  const [, host = '', port = ''] = /^\[?([^\]]*?)\]?:(\d{1,5})$/.exec(listen) ?? []
  if (host === '') throw new FleetError('CONFIG_INVALID', `serve.listen ${JSON.stringify(listen)} is no address:port`)
  const server = createServer((request, response) => void answer(options, { request, response }))
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000
  server.maxConnections = CONNECTIONS_MOST
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(notOpened(listen, cause)))
    server.listen({ host, port: Number(port) }, resolve)
  })
  const at = server.address()
  const bracketed = host.includes(':') ? `[${host}]` : host
  const address = typeof at === 'object' && at !== null ? `${bracketed}:${at.port}` : listen
  return { address, close: () => closed(server) }
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

async function answer({ hosts, routes, log }: DoorOptions, exchange: Exchange): Promise<void> {
  const { request, response } = exchange
  request.resume()
  try {
    const reply = refusal(request, hosts) ?? (await routed(routes, exchange))
    if (reply !== null) send(exchange, reply)
  } catch (error) {
    if (error instanceof FleetError) return send(exchange, replyTo(error))
    log.error('a request was not answered', { error })
    if (response.headersSent) response.destroy()
    else send(exchange, { code: 500, body: { error: { code: 'internal', message: 'this is a bug of the daemon' } } })
  }
}

async function routed(routes: DoorOptions['routes'], exchange: Exchange): Promise<Reply | null> {
  const { pathname, searchParams } = urlOf(exchange.request)
  const handler = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined
  if (handler !== undefined) return handler(searchParams, exchange)
  return fault(404, 'not-found', `there is nothing at ${pathname}: docs/api.md lists what there is`)
}

/** The path is taken as it was sent: two slashes at its front name no other host. */
function urlOf({ url = '/' }: IncomingMessage): URL {
  const whole = `http://daemon${url.startsWith('/') ? '' : '/?'}${url}`
  return new URL(URL.canParse(whole) ? whole : 'http://daemon/?')
}

export function fault(code: number, name: string, message: string): Reply {
  return { code, body: { error: { code: name, message } } }
}

/** What a caller gets for an error of ours, with the code of the table. */
function replyTo({ code, kind, message }: FleetError): Reply {
  if (kind === 'usage') return fault(400, code, message)
  if (code === 'NODE_UNKNOWN') return fault(404, code, message)
  return fault(kind === 'transient' ? 503 : 409, code, message)
}

function refusal(request: IncomingMessage, hosts: readonly string[]): Reply | null {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return fault(405, 'read-only', 'this interface reads; conduct writes, through Consul')
  const { host = '' } = request.headers
  if (isKnownHost(host, hosts)) return null
  return fault(
    421,
    'host-unknown',
    `not called ${host.slice(0, 100)} here; serve.hosts of the config names what counts`,
  )
}

/**
 * A page of somebody else can make its own name mean our address, and then call us as its own origin: its Host header gives it away. An
 * address cannot be made to mean another one.
 */
export function isKnownHost(header: string, hosts: readonly string[]): boolean {
  const name = header.replace(/:\d{1,5}$/, '').toLowerCase()
  if (name === 'localhost' || hosts.some((host) => host.toLowerCase() === name)) return true
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name)
}

function send({ request, response }: Exchange, { code, body, type }: Reply): void {
  const text = type === undefined ? `${JSON.stringify(body)}\n` : String(body)
  const allow = code === 405 ? { allow: 'GET, HEAD' } : {}
  response.writeHead(code, {
    ...HEADERS,
    ...allow,
    'content-type': type ?? 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}

export const STREAM_HEADERS = { ...HEADERS, 'content-type': 'text/event-stream; charset=utf-8' } as const

/** Mostly a daemon that is there already, which no sample of a config helps to see. */
function notOpened(listen: string, cause: NodeJS.ErrnoException): FleetError {
  const why = cause.code === 'EADDRINUSE' ? 'somebody listens there already' : cause.message
  const help = 'name another address by --listen or serve.listen'
  return new FleetError('CONFIG_INVALID', `cannot listen on ${listen}: ${why}; ${help}`, { cause })
}

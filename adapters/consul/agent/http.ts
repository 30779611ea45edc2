// Owns the HTTP border of the embedded agent: requests as values in, answers as values out.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseGoDuration } from './go-duration.ts'
import type { Wish } from './waiting.ts'

export interface AgentRequest {
  readonly method: string
  /** Decoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Buffer
  /** Aborts when the client has gone or the agent closes. */
  readonly signal: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

/** Consul's limit of a value and of a transaction. */
const MAX_BODY_BYTES = 524_288

/** A request that is refused; the message is the body of the answer. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

/** @param body JSON text, ready */
export function json(body: string, headers: Readonly<Record<string, string>> = {}, status = 200): Answer {
  return { status, headers: { 'Content-Type': 'application/json', ...headers }, body }
}

export function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body }
}

/** The headers of every read: this agent always knows the leader, since it is alone. */
export function readHeaders(index: number): Record<string, string> {
  return { 'X-Consul-Index': String(index), 'X-Consul-Knownleader': 'true', 'X-Consul-Lastcontact': '0' }
}

const DEFAULT_WAIT_MS = 300_000
const MAX_WAIT_MS = 600_000

/** Reads `index`, `wait` and the consistency out of a query. @throws HttpError 400 */
export function wishOf(query: URLSearchParams): Wish {
  if (query.has('stale') && query.has('consistent')) {
    throw new HttpError(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.')
  }
  const wait = query.get('wait') ?? ''
  const waitMs = wait === '' ? 0 : parseGoDuration(wait)
  if (waitMs === null) throw new HttpError(400, 'Invalid wait time')
  const index = query.get('index') ?? ''
  if (!/^\d*$/.test(index)) throw new HttpError(400, 'Invalid index')
  return { index: Number(index), waitMs: waitMs <= 0 ? DEFAULT_WAIT_MS : Math.min(waitMs, MAX_WAIT_MS) }
}

/** Reads a whole body. @throws HttpError 413 above the limit, without reading on */
export async function readBody(message: IncomingMessage, limitName: string): Promise<Buffer> {
  const refuse = (bytes: number) =>
    new HttpError(
      413,
      `Request body(${bytes} bytes) too large, max size: ${MAX_BODY_BYTES} bytes. See https://www.consul.io/docs/agent/options.html#${limitName}.`,
      { Connection: 'close' },
    )
  const announced = Number(message.headers['content-length'] ?? 0)
  if (announced > MAX_BODY_BYTES) throw refuse(announced)
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of message) {
    const chunk: Buffer = part
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw refuse(bytes)
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}

export function send(response: ServerResponse, answer: Answer): void {
  if (response.destroyed || response.headersSent) return
  const body = Buffer.from(answer.body ?? '')
  response.writeHead(answer.status, { ...answer.headers, Vary: 'Accept-Encoding', 'Content-Length': body.length })
  response.end(body)
}

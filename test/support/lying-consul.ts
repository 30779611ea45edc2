// Owns an HTTP server that answers like a Consul that lies, or like what stands between us and Consul.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { listen } from './listen.ts'

/** A request as it came, and how many came before it. */
export interface Asked {
  readonly nth: number
  readonly method: string
  /** Without `/v1`, decoded. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** `performance.now()` of its arrival. */
  readonly atMs: number
}

/** One answer. `ending` is what happens after the bytes were sent. */
export interface Lie {
  readonly status?: number
  /** Several values for one name are sent as several headers. */
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
  /** `end` finishes it; `hang` sends headers and bytes and then nothing; `cut` closes in the middle of an answer; `mute` sends nothing at all; `reset` breaks the connection. */
  /** No length is sent: the body comes in chunks. */
  readonly chunked?: boolean
  readonly ending?: 'end' | 'hang' | 'cut' | 'mute' | 'reset'
}

export interface LyingConsul {
  readonly url: string
  readonly asked: readonly Asked[]
  /** Connections open now, and all there ever were. */
  readonly open: number
  readonly accepted: number
}

export type Script = (asked: Asked) => Lie | Promise<Lie>

/** A server on a free port of 127.0.0.1 that answers by `script`. Closed by `t.after`. */
export async function startLyingConsul(t: Pick<TestContext, 'after'>, script: Script): Promise<LyingConsul> {
  const asked: Asked[] = []
  let open = 0
  let accepted = 0
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    const atMs = performance.now()
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const url = new URL(request.url ?? '/', 'http://lie')
    const one: Asked = {
      nth: asked.length,
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname).replace(/^\/v1/, ''),
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks),
      atMs,
    }
    asked.push(one)
    tell(await script(one), response)
  })
  server.on('connection', (socket) => {
    open += 1
    accepted += 1
    socket.on('close', () => {
      open -= 1
    })
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  const host = await listen(t, server)
  return {
    url: `http://${host}`,
    asked,
    get open() {
      return open
    },
    get accepted() {
      return accepted
    },
  }
}

function tell(lie: Lie, response: ServerResponse): void {
  const { status = 200, headers = {}, body = '', ending = 'end', chunked = false } = lie
  if (ending === 'mute') return
  if (ending === 'reset') return void response.socket?.resetAndDestroy()
  const bytes = Buffer.from(body)
  const length = ending === 'end' ? bytes.byteLength : bytes.byteLength + 100
  response.writeHead(status, { ...(chunked ? {} : { 'content-length': String(length) }), ...headers })
  if (ending === 'end') return void response.end(bytes)
  response.write(bytes)
  if (ending === 'cut') response.socket?.end()
}

/** The headers of an honest Consul. */
export function consulHeaders(index: number | string): Record<string, string> {
  return {
    'content-type': 'application/json',
    'x-consul-index': String(index),
    'x-consul-knownleader': 'true',
    'x-consul-lastcontact': '0',
  }
}

/** An honest answer to a KV read of one key, but for the headers that are given. */
export function kvAnswer(
  key: string,
  value: string,
  index: number,
  modifyIndex = index,
  headers: Readonly<Record<string, string>> = {},
): Lie {
  const entry = {
    Key: key,
    Value: Buffer.from(value).toString('base64'),
    Flags: 0,
    LockIndex: 0,
    CreateIndex: 1,
    ModifyIndex: modifyIndex,
  }
  return { headers: { ...consulHeaders(index), ...headers }, body: JSON.stringify([entry]) }
}

/** An honest "no such key". */
export function kvAbsent(index: number): Lie {
  const { 'content-type': _type, ...headers } = consulHeaders(index)
  return { status: 404, headers }
}

// Owns a web server of objects that lies on demand: mute, slow, cut, corrupt, denying, redirecting. What it serves is a file store's directory.
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

/** What the server does instead of serving. */
export type Lie =
  /** Takes the request and never answers. */
  | { readonly kind: 'mute' }
  /** Sends the head and so many bytes, then nothing more, the connection open. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Sends no more than this. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** Breaks the connection after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Sends so many bytes fewer than it should, and says so in its length. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** Flips every bit of the byte at this place of the object. */
  | { readonly kind: 'corrupt'; readonly at: number }
  | {
      readonly kind: 'status'
      readonly status: number
      readonly body?: string
      readonly headers?: Readonly<Record<string, string>>
    }
  | { readonly kind: 'redirect'; readonly location: string }
  /** Another ETag with every answer, as if the object were replaced all the time. */
  | { readonly kind: 'changing' }
  /** Sends the whole object whatever range was asked for, and never said that it knows ranges. */
  | { readonly kind: 'no ranges' }
  /** Says that the body is gzip. */
  | { readonly kind: 'encoded' }
  /** Closes every connection at once. */
  | { readonly kind: 'off' }

/** One request as it was seen. `sentBytes` grows while the body is sent. */
export interface SeenRequest {
  readonly method: string
  /** Object name. */
  readonly name: string
  readonly range: string | null
  sentBytes: number
}

export interface LyingStore {
  /** Where it listens, on loopback. */
  readonly url: string
  readonly requests: readonly SeenRequest[]
  /** Body bytes sent since the last `forget`. */
  sentBytes(): number
  forget(): void
  /**
   * From now on lies like this, or tells the truth again (null). @param about only about objects whose name contains this
   */
  lie(lie: Lie | null, about?: string): void
}

/** Starts the server for the objects below `directory`; it ends with the test. */
export async function startLyingStore(t: TestContext, directory: string): Promise<LyingStore> {
  const requests: SeenRequest[] = []
  let current: { readonly lie: Lie; readonly about: string } | null = null
  let changes = 0
  const server = createServer((request, answer) => {
    const name = decodeURIComponent(new URL(request.url ?? '/', 'http://store').pathname.slice(1))
    const seen = { method: request.method ?? '', name, range: request.headers.range ?? null, sentBytes: 0 }
    requests.push(seen)
    const lie = current !== null && name.includes(current.about) ? current.lie : null
    changes += 1
    serve(join(directory, name), request, answer, lie, changes, seen).catch(() => answer.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    sentBytes: () => requests.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    forget: () => requests.splice(0),
    lie: (lie, about = '') => {
      current = lie === null ? null : { lie, about }
    },
  }
}

async function serve(
  path: string,
  request: IncomingMessage,
  answer: ServerResponse,
  lie: Lie | null,
  change: number,
  seen: SeenRequest,
): Promise<void> {
  if (lie?.kind === 'mute') return
  if (lie?.kind === 'off') return void request.socket.destroy()
  if (lie?.kind === 'status') return void answer.writeHead(lie.status, lie.headers).end(lie.body ?? '')
  if (lie?.kind === 'redirect') return void answer.writeHead(302, { location: lie.location }).end()
  const file = await open(path).catch(() => null)
  const facts = await file?.stat()
  await file?.close()
  if (facts === undefined || !facts.isFile()) return void answer.writeHead(404).end('no such object')
  const etag = lie?.kind === 'changing' ? `"v${change}"` : `"${facts.ino}-${facts.size}-${facts.mtimeMs}"`
  const match = request.headers['if-match']
  if (match !== undefined && match !== etag) return void answer.writeHead(412).end()
  const range = lie?.kind === 'no ranges' ? null : /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  const start = Number(range?.[1] ?? 0)
  const end = Math.min(facts.size, Number(range?.[2] ?? facts.size - 1) + 1) - (lie?.kind === 'short' ? lie.bytes : 0)
  if (start > end) return void answer.writeHead(416).end()
  answer.writeHead(range === null ? 200 : 206, {
    etag,
    'content-length': end - start,
    ...(lie?.kind !== 'no ranges' && { 'accept-ranges': 'bytes' }),
    ...(range !== null && { 'content-range': `bytes ${start}-${end - 1}/${facts.size}` }),
    ...(lie?.kind === 'encoded' && { 'content-encoding': 'gzip' }),
  })
  if (request.method === 'HEAD' || end === start) return void answer.end()
  await send(path, { start, end }, answer, lie, seen)
}

async function send(
  path: string,
  { start, end }: { start: number; end: number },
  answer: ServerResponse,
  lie: Lie | null,
  seen: SeenRequest,
): Promise<void> {
  // Slow bodies come in small pieces, so that they are slow and not late.
  const highWaterMark = lie?.kind === 'slow' ? 1_024 : 64 * 1024
  let at = start
  for await (const piece of createReadStream(path, { start, end: end - 1, highWaterMark }) as AsyncIterable<Buffer>) {
    let bytes = piece
    if (lie?.kind === 'corrupt' && lie.at >= at && lie.at < at + piece.byteLength) {
      bytes = Buffer.from(piece)
      bytes[lie.at - at] = (bytes[lie.at - at] ?? 0) ^ 0xff
    }
    const left = lie?.kind === 'stall' || lie?.kind === 'cut' ? lie.afterBytes - (at - start) : bytes.byteLength
    const sent = bytes.subarray(0, Math.max(0, left))
    if (answer.destroyed) return
    const more = answer.write(sent)
    seen.sentBytes += sent.byteLength
    at += piece.byteLength
    if (sent.byteLength < bytes.byteLength) {
      if (lie?.kind === 'cut') await new Promise<void>((resolve) => setImmediate(() => resolve(void answer.destroy())))
      return
    }
    if (lie?.kind === 'slow') await delay((piece.byteLength / lie.bytesPerSecond) * 1_000)
    else if (!more) await new Promise((resolve) => answer.once('drain', resolve).once('close', resolve))
  }
  answer.end()
}

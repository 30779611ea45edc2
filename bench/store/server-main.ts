// Owns the web server that everyone fetches from in a bench: a process of its own that counts, per client, what went over its sockets.
//
// Argument: a directory. The first part of a URL's path names the client, the rest is a file below the directory. `/-/counts` tells.
import { closeSync, fstatSync, openSync, read, readSync, type Stats } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join, normalize } from 'node:path'
import { promisify } from 'node:util'
import type { Counts } from './server.ts'

const [directory = '.'] = process.argv.slice(2)
const PIECE_BYTES = 1024 * 1024
const counts = new Map<string, { requests: number; bytes: number; sentBytes: number }>()
/** What was counted of a kept connection already. */
const told = new WeakMap<object, { written: number; read: number }>()
const readPiece = promisify(read)

function count(client: string, request: IncomingMessage): void {
  const { socket } = request
  const { written, read: taken } = told.get(socket) ?? { written: 0, read: 0 }
  const sum = counts.get(client) ?? { requests: 0, bytes: 0, sentBytes: 0 }
  sum.requests += 1
  sum.bytes += socket.bytesWritten - written
  sum.sentBytes += socket.bytesRead - taken
  told.set(socket, { written: socket.bytesWritten, read: socket.bytesRead })
  counts.set(client, sum)
}

function rangeOf(header: string | undefined, size: number): { start: number; end: number } | null {
  const bounds = /^bytes=(\d+)-(\d*)$/.exec(header ?? '')
  if (bounds === null) return null
  return { start: Number(bounds[1]), end: Math.min(size, bounds[2] === '' ? size : Number(bounds[2]) + 1) }
}

async function serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let fd: number
  try {
    fd = openSync(join(directory, normalize(`/${path}`)), 'r')
  } catch {
    response.writeHead(404, { 'content-length': 0 }).end()
    return
  }
  try {
    const stat: Stats = fstatSync(fd)
    if (!stat.isFile()) return void response.writeHead(404, { 'content-length': 0 }).end()
    const etag = `"${stat.ino}-${stat.size}-${stat.mtimeMs}"`
    const wanted = request.headers['if-match']
    if (wanted !== undefined && wanted !== etag) return void response.writeHead(412, { 'content-length': 0 }).end()
    const range = rangeOf(request.headers.range, stat.size)
    const { start, end } = range ?? { start: 0, end: stat.size }
    response.writeHead(range === null ? 200 : 206, {
      etag,
      'content-length': end - start,
      'accept-ranges': 'bytes',
      ...(range && { 'content-range': `bytes ${start}-${end - 1}/${stat.size}` }),
    })
    if (request.method === 'HEAD') return void response.end()
    await send(fd, start, end, response)
  } finally {
    closeSync(fd)
  }
}

async function send(fd: number, start: number, end: number, response: ServerResponse): Promise<void> {
  if (end - start <= PIECE_BYTES) {
    const bytes = Buffer.allocUnsafe(end - start)
    readSync(fd, bytes, 0, bytes.byteLength, start)
    return void response.end(bytes)
  }
  for (let at = start; at < end && !response.destroyed; ) {
    // A new piece each time: the one before may still be on its way.
    const bytes = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - at))
    const { bytesRead } = await readPiece(fd, bytes, 0, bytes.byteLength, at)
    at += bytesRead
    if (response.write(bytes.subarray(0, bytesRead))) continue
    await new Promise<void>((resolve) => {
      const go = (): void => {
        response.off('drain', go).off('close', go)
        resolve()
      }
      response.on('drain', go).on('close', go)
    })
  }
  response.end()
}

const server = createServer((request, response) => {
  const path = decodeURIComponent(request.url ?? '/').slice(1)
  const client = path.slice(0, path.indexOf('/'))
  if (client === '-') {
    response.end(JSON.stringify(Object.fromEntries(counts) satisfies Record<string, Counts>))
    return
  }
  response.once('close', () => count(client, request))
  serve(path.slice(client.length + 1), request, response).catch(() => response.destroy())
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`)
})

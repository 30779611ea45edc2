// Owns the puller's two doors: a socket in its root for the commands of this machine, and metrics and health over HTTP.
import { existsSync } from 'node:fs'
import type { Server, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { FleetError } from '#fleet/errors.ts'
import * as disk from './disk.ts'
import { diskFault } from './disk-faults.ts'
import { step } from './failpoints.ts'

// Not imported: see docs/decisions/0013.
const { createServer, request } = process.getBuiltinModule('node:http')

/** What a door answers: a status and a JSON value, or text. */
export interface Reply {
  readonly code: number
  readonly body: unknown
  readonly type?: string
}

export type Answerer = (method: string, path: string) => Promise<Reply | null>

/** Nobody else may enter it: whoever can reach the socket may speak to it. */
function controlFolderOf(root: string): string {
  return join(root, '.hotcold', 'control')
}

function controlSocketOf(root: string): string {
  return join(controlFolderOf(root), 'socket')
}

function send(response: ServerResponse, reply: Reply): void {
  const body = reply.type === undefined ? JSON.stringify(reply.body) : String(reply.body)
  response.writeHead(reply.code, { 'content-type': reply.type ?? 'application/json' })
  response.end(body)
}

function serverOf(answer: Answerer): Server {
  const server = createServer((incoming, response) => {
    incoming.resume()
    const path = new URL(incoming.url ?? '/', 'http://node').pathname
    answer(incoming.method ?? 'GET', path).then(
      (reply) => send(response, reply ?? { code: 404, body: { error: `there is nothing at ${path}` } }),
      (error: unknown) =>
        send(response, { code: 500, body: { error: error instanceof Error ? error.message : String(error) } }),
    )
  })
  // A caller that trickles its request must not hold a door open.
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000
  return server
}

export interface Listening {
  readonly address: string
  close(): Promise<void>
}

function closing(server: Server): () => Promise<void> {
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
}

/** @param listen `address:port`, port 0 for a free one. @throws FleetError `CONFIG_INVALID` when it cannot be had */
export async function listenOn(listen: string, answer: Answerer): Promise<Listening> {
  const [, host = '', port = '0'] = /^\[?(.*?)\]?:(\d+)$/.exec(listen) ?? []
  const server = serverOf(answer)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'somebody listens there already' : cause.message
      reject(
        new FleetError('CONFIG_INVALID', `cannot listen on ${listen}: ${why}; metrics.listen names another`, { cause }),
      )
    })
    server.listen({ host, port: Number(port) }, resolve)
  })
  const at = server.address()
  const address = typeof at === 'object' && at !== null ? `${host}:${at.port}` : listen
  return { address, close: closing(server) }
}

/** Looks first: on a read-only disk there is no removing what is not there either. */
function clear(socket: string): void {
  if (existsSync(socket)) disk.unlink('control.clear', socket)
}

/**
 * Opens the control socket; only this user may speak to it, by the folder that it is in. Not by the umask: that is one for all threads, and
 * one that stages meanwhile would make files that nobody else can read. The root's lock is ours, so a socket that lies there is a dead puller's.
 * @throws FleetError `DISK_*`
 */
export async function openControl(root: string, answer: Answerer): Promise<Listening> {
  const socket = controlSocketOf(root)
  const server = serverOf(answer)
  try {
    const folder = controlFolderOf(root)
    if (!existsSync(folder)) disk.mkdir('control.mkdir', folder, 0o700)
    clear(socket)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      step('control.listen')
      server.listen(socket, resolve)
    })
  } catch (error) {
    throw diskFault(error, `opening ${socket}`)
  }
  const close = closing(server)
  return {
    address: socket,
    close: async () => {
      try {
        clear(socket)
      } catch {
        // What remains is taken away by the next start.
      }
      await close()
    },
  }
}

/** Asks the puller that owns this root; null when none is running. */
export function askControl(root: string, method: string, path: string, limitMs: number): Promise<Reply | null> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: controlSocketOf(root), method, path, signal: AbortSignal.timeout(limitMs) })
    asked.once('error', (error) => {
      const gone = 'code' in error && (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
      if (gone) resolve(null)
      else reject(new FleetError('ROOT_TAKEN', `the puller that owns ${root} does not answer`, { cause: error }))
    })
    asked.once('response', (response) => {
      text(response).then(
        (body) => resolve({ code: response.statusCode ?? 500, body: JSON.parse(body) as unknown }),
        reject,
      )
    })
    asked.end()
  })
}

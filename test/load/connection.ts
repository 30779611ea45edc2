// Owns one kept connection of the load generator: one request at a time, its answer read by length, and nothing repeated.
import { connect, type Socket } from 'node:net'

export interface Reply {
  readonly status: number
  /** Names in lower case. */
  header(name: string): string
  readonly body: string
}

/** Called once for each request. An error is the request's end without a whole answer, whoever is to blame. */
export type Settle = (reply: Reply | Error) => void

export interface Connection {
  /** One at a time: only when `idle` was called, and at the start. */
  get(path: string, settle: Settle): void
  close(): void
}

/** Reads one whole answer off the front of `text`; null while there is more to come. @throws Error for what is no answer with a length */
export function replyIn(text: string): { readonly reply: Reply; readonly length: number } | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = text.slice(0, end).toLowerCase()
  const header = (name: string): string => {
    const at = head.indexOf(`\r\n${name}:`)
    if (at < 0) return ''
    const from = at + name.length + 3
    const to = head.indexOf('\r\n', from)
    return head.slice(from, to < 0 ? undefined : to).trim()
  }
  const status = Number(head.slice(9, 12))
  const bytes = header('content-length')
  if (!head.startsWith('http/1.1 ') || !/^\d+$/.test(bytes)) throw new Error(`not an answer: ${head.slice(0, 80)}`)
  const length = end + 4 + Number(bytes)
  if (text.length < length) return null
  return { reply: { status, header, body: text.slice(end + 4, length) }, length }
}

/** All connections read into it: what was read is taken out of it before another reads. */
const READ = Buffer.allocUnsafe(64 * 1024)

/**
 * Opens a connection.
 * @param idle called when it may take the next request
 * @param gone called once, when it is closed; a request in flight is settled with an error before
 */
export function openConnection(
  to: { readonly host: string; readonly port: number; readonly timeoutMs: number },
  idle: (connection: Connection) => void,
  gone: (connection: Connection) => void,
): Connection {
  let settle: Settle | null = null
  let text = ''
  const onread = { buffer: READ, callback: (bytes: number) => heard(READ.toString('latin1', 0, bytes)) }
  const socket: Socket = connect({ host: to.host, port: to.port, noDelay: true, onread })
  const over = (answer: Reply | Error): void => {
    const told = settle
    settle = null
    told?.(answer)
  }
  socket.setTimeout(to.timeoutMs, () => {
    if (settle !== null) socket.destroy(new Error(`no answer within ${to.timeoutMs} ms`))
  })
  /** @returns always true: read on */
  const heard = (chunk: string): boolean => {
    text += chunk
    try {
      const found = replyIn(text)
      if (found === null) return true
      if (settle === null || text.length > found.length) {
        throw new Error(`bytes that nobody asked for: ${text.slice(0, 80)}`)
      }
      text = ''
      over(found.reply)
      if (found.reply.header('connection') === 'close') socket.end()
      else idle(connection)
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error(String(error)))
    }
    return true
  }
  socket.on('error', (error) => over(error))
  socket.on('close', () => {
    over(new Error('the connection was closed before the whole answer had come'))
    gone(connection)
  })
  const connection: Connection = {
    get(path, then) {
      settle = then
      socket.write(`GET ${path} HTTP/1.1\r\nhost: web\r\n\r\n`)
    },
    close: () => void socket.end(),
  }
  return connection
}

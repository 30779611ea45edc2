// Owns a door between conduct and Consul that knows transactions: it holds one before it is sent, or its answer after it was committed.
import { Agent, createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { TestContext } from 'node:test'
import { listen } from './listen.ts'

export type Moment = 'before send' | 'after commit'

/** A transaction that the door holds. */
export interface Seized {
  /** Lets it, or its answer, go on; the HTTP status that Consul gave. */
  pass(): Promise<number>
}

export interface Door {
  readonly url: string
  /** Labels of the transactions that Consul took through here, oldest first, and whatever else was written to keys. */
  readonly taken: readonly string[]
  /** Resolves when the first transaction with this label is held at this moment. */
  seize(label: string, moment: Moment): Promise<Seized>
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface Told {
  readonly event: string
  readonly by: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** One event of the history in a few words: what, where and how far. */
export function labelOf({ event, facts }: Told): string {
  if (event === 'ordered') return `${facts.kind} ${facts.ring} ${facts.exposed} of ${facts.roster}`
  return facts.ring === undefined ? event : `${event} ${facts.ring} ${facts.share}`
}

/** What a request writes to the keys of an app; empty when it only reads, or is about sessions and the lease. */
function writesOf(method: string, url: URL, body: Buffer): readonly string[] {
  if (method === 'GET' || url.pathname.startsWith('/v1/session/')) return []
  const path = decodeURIComponent(url.pathname)
  if (path !== '/v1/txn') {
    const about = url.searchParams.has('acquire') || path.includes('/requests/')
    return about ? [] : [`${method} ${path}`]
  }
  const operations = JSON.parse(body.toString()) as { KV: { Verb: string; Key: string; Value?: string } }[]
  const writes = operations.filter(({ KV: { Verb } }) => /^(set|cas|delete)/.test(Verb))
  if (writes.length === 0) return []
  const told = writes.flatMap(({ KV: { Key, Value = '' } }) =>
    Key.includes('/history/') ? [labelOf(JSON.parse(Buffer.from(Value, 'base64').toString()) as Told)] : [],
  )
  return told.length > 0 ? told : ['a transaction without history']
}

/** A door before `upstream` on a free port of 127.0.0.1. Closed by `t.after`. */
export async function startDoor(t: Pick<TestContext, 'after'>, upstream: string): Promise<Door> {
  const agent = new Agent({ keepAlive: true })
  const taken: string[] = []
  let waiting: { label: string; moment: Moment; resolve: (seized: Seized) => void } | null = null

  async function forward(from: IncomingMessage, body: Buffer, writes: readonly string[], gone?: AbortSignal) {
    const answer = await ask(agent, upstream, from, body, gone)
    const refused = answer.status !== 200 || answer.body.toString().trim() === 'false'
    if (!refused) taken.push(...writes)
    return answer
  }

  async function serve(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of from) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const writes = writesOf(from.method ?? '', new URL(from.url ?? '/', upstream), body)
    const caught = waiting !== null && writes.includes(waiting.label) ? waiting : null
    if (caught === null) {
      // A read that nobody waits for any more is broken off; a write is on its way.
      const gone = new AbortController()
      if (writes.length === 0) to.on('close', () => gone.abort())
      return give(to, await forward(from, body, writes, gone.signal))
    }
    waiting = null
    const early = caught.moment === 'after commit' ? await forward(from, body, writes) : null
    if (early !== null && early.status !== 200) return give(to, early)
    caught.resolve({
      pass: async () => {
        const answer = early ?? (await forward(from, body, writes))
        give(to, answer)
        return answer.status
      },
    })
  }

  const server = createServer((from, to) => void serve(from, to).catch(() => to.destroy()))
  server.on('clientError', (_error, socket) => socket.destroy())
  const host = await listen(t, server)
  t.after(() => agent.destroy())
  return {
    url: `http://${host}`,
    taken,
    seize: (label, moment) =>
      new Promise((resolve) => {
        waiting = { label, moment, resolve }
      }),
  }
}

function give(to: ServerResponse, { status, headers, body }: Answer): void {
  if (to.destroyed) return
  const { 'transfer-encoding': _chunked, connection: _connection, ...kept } = headers
  to.writeHead(status, { ...kept, 'content-length': body.length }).end(body)
}

function ask(
  agent: Agent,
  upstream: string,
  from: IncomingMessage,
  body: Buffer,
  signal?: AbortSignal,
): Promise<Answer> {
  const { 'transfer-encoding': _chunked, connection: _connection, host: _host, ...headers } = from.headers
  return new Promise((resolve, reject) => {
    const options = { agent, method: from.method, headers: { ...headers, 'content-length': body.length } }
    const request = send(new URL(from.url ?? '/', upstream), { ...options, ...(signal && { signal }) }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

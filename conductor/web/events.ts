// Owns the event stream: every entry of the history and every change of the picture, to clients that keep up, resumed where they left off.
import type { ServerResponse } from 'node:http'
import type { Picture } from '#conductor/core/picture.ts'
import type { Signal } from '#conductor/shell/signal.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { Clock, HistoryEntry, Logger } from '#fleet/ports.ts'
import { changeOf } from './changes.ts'
import { type Exchange, fault, type Reply, STREAM_HEADERS } from './door.ts'

/** What the stream is made of. */
export interface Newsroom {
  readonly clock: Clock
  readonly log: Logger
  readonly changed: Signal
  /** Rises with every change of the view. */
  version(): number
  /** Number of the newest entry of the history; 0 when there is none. */
  tail(): number
  picture(): Promise<Picture>
  /** The newest entries, newest first. */
  history(limit: number, signal: AbortSignal): Promise<readonly HistoryEntry[]>
}

export interface StreamLimits {
  readonly clients: number
  /** Bytes that a client may leave unread, beside its first picture. */
  readonly unreadBytes: number
  readonly heartbeatMs: number
  /** Changes of so long are told together. */
  readonly gatherMs: number
  /** Entries that a client which comes back is told; older ones are for /api/v1/history. */
  readonly replay: number
}

export const LIMITS: StreamLimits = {
  clients: 50,
  unreadBytes: 1024 * 1024,
  heartbeatMs: 15_000,
  gatherMs: 250,
  replay: 1_000,
}

/** Entries that may have come between two looks; and those that are told at once. */
const MARGIN = 20
const AT_ONCE = 200

interface Client {
  readonly response: ServerResponse
  /** Number of the newest entry that it was sent. */
  seq: number
  /** What it may leave unread. */
  readonly allowedBytes: number
}

export class EventStream {
  readonly #news: Newsroom
  readonly #limits: StreamLimits
  readonly #clients = new Set<Client>()
  #opening = 0
  #picture: Picture | null = null
  #version = -1
  #updating: Promise<void> = Promise.resolve()

  constructor(news: Newsroom, limits: StreamLimits = LIMITS) {
    this.#news = news
    this.#limits = limits
  }

  get clients(): number {
    return this.#clients.size + this.#opening
  }

  /** Takes a client in. Null: the response is the stream's from here on. */
  async open({ request, response }: Exchange, signal: AbortSignal): Promise<Reply | null> {
    if (this.clients >= this.#limits.clients)
      return fault(503, 'too-many', `${this.#limits.clients} clients listen already`)
    if (request.method === 'HEAD') return { code: 200, body: '', type: STREAM_HEADERS['content-type'] }
    this.#opening += 1
    try {
      await this.#update()
      const { entries, seq, reset } = await this.#missed(request.headers['last-event-id'], signal)
      // From here to the end without a pause: nothing may happen between the first picture and the first change.
      const picture = JSON.stringify(this.#picture)
      const client = { response, seq, allowedBytes: picture.length + this.#limits.unreadBytes }
      response.writeHead(200, STREAM_HEADERS)
      response.socket?.setNoDelay(true)
      response.on('error', () => undefined)
      response.on('close', () => this.#clients.delete(client))
      response.write(`retry: 2000\n\n`)
      if (reset) response.write(message('reset', {}))
      for (const entry of entries) response.write(message('history', entry, entry.seq))
      response.write(`id: ${seq}\nevent: status\ndata: ${picture}\n\n`)
      if (!response.destroyed) this.#clients.add(client)
      return null
    } finally {
      this.#opening -= 1
    }
  }

  /** What happened since the entry that the client names. `reset`: that cannot be told, or never was. */
  async #missed(header: string | string[] | undefined, signal: AbortSignal) {
    const seq = this.#news.tail()
    const last = typeof header === 'string' && /^\d{1,12}$/.test(header) ? Number(header) : null
    if (last === null || last === seq) return { entries: [], seq, reset: false }
    if (last > seq || seq - last > this.#limits.replay) return { entries: [], seq, reset: true }
    return { ...(await this.#since(last, signal)), reset: false }
  }

  /** The entries after `last` without a gap: more may have come since the view was read, and the newest are had first. */
  async #since(last: number, signal: AbortSignal) {
    for (let limit = this.#news.tail() - last + MARGIN; ; limit *= 2) {
      const newest = await this.#news.history(limit, signal)
      const entries = newest.filter(({ seq }) => seq > last).toReversed()
      // An entry that cannot be read is left out: then more of them does not help.
      const whole = entries[0]?.seq === last + 1 || newest.length < limit || limit > 4 * this.#limits.replay
      if (whole) return { entries, seq: entries.at(-1)?.seq ?? last }
    }
  }

  /** Tells all clients what is new, until the signal aborts; then they are sent away. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, changed, log } = this.#news
    let beatAt = clock.monotonic()
    while (!signal.aborted) {
      try {
        if (!this.#isBehind()) await changed.wait(clock, this.#limits.heartbeatMs / 3, signal)
        if (clock.monotonic() - beatAt >= this.#limits.heartbeatMs) {
          beatAt = clock.monotonic()
          for (const client of this.#clients) client.response.write(': still here\n\n')
        }
        if (this.#clients.size > 0) await this.#tell(signal)
        else if (this.#opening === 0) this.#forget()
        await clock.sleep(this.#limits.gatherMs, signal)
      } catch (error) {
        if (signal.aborted) break
        if (!isFleetError(error)) throw error
        log.debug('the event stream waits for consul', { code: error.code, error: error.message })
        await clock.sleep(1_000, signal).catch(() => undefined)
      }
    }
    for (const { response } of this.#clients) response.end()
  }

  /** Nobody listens: the next one is told how things stand then. */
  #forget(): void {
    this.#picture = null
    this.#version = this.#news.version()
  }

  #isBehind(): boolean {
    if (this.#version !== this.#news.version()) return true
    return [...this.#clients].some(({ seq }) => seq < this.#news.tail())
  }

  async #tell(signal: AbortSignal): Promise<void> {
    this.#dropSlow()
    const oldest = Math.min(...[...this.#clients].map(({ seq }) => seq))
    if (this.#news.tail() > oldest) {
      const { entries } = await this.#since(oldest, signal)
      for (const client of this.#clients) this.#tellHistory(client, entries.slice(0, AT_ONCE))
    }
    await this.#update()
  }

  #tellHistory(client: Client, entries: readonly HistoryEntry[]): void {
    for (const entry of entries.filter(({ seq }) => seq > client.seq)) {
      client.seq = entry.seq
      client.response.write(message('history', entry, entry.seq))
    }
  }

  /** The picture as it is now; what is new in it goes to all who have the one before. One at a time, so that none overtakes another. */
  #update(): Promise<void> {
    const next = this.#updating.then(() => this.#renew())
    this.#updating = next.catch(() => undefined)
    return next
  }

  async #renew(): Promise<void> {
    const version = this.#news.version()
    if (this.#picture !== null && version === this.#version) return
    const before = this.#picture
    const picture = await this.#news.picture()
    this.#picture = picture
    this.#version = version
    const change = before === null ? null : changeOf(before, picture)
    if (change === null) return
    const said = message('change', change)
    for (const client of this.#clients) client.response.write(said)
  }

  /** Who has left too much of what was told before is sent away: it comes back with the number of its last entry, and misses nothing. */
  #dropSlow(): void {
    for (const client of this.#clients) {
      const { response, allowedBytes } = client
      if (response.writableLength <= allowedBytes) continue
      this.#clients.delete(client)
      response.destroy()
      this.#news.log.warn('a slow client of the event stream was dropped')
    }
  }
}

function message(event: string, data: unknown, id?: number): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

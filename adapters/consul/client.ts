// Owns requests to Consul in our words: each ends by its deadline, can be cancelled, and believes only answers of the right shape.
import { FleetError } from '#fleet/errors.ts'
import { DEFAULT_PREFIX, type Keys, keysOf } from '#fleet/keys.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import {
  type Answer,
  booleanOf,
  committedOf,
  type Entry,
  entriesOf,
  failureOf,
  listedSession,
  metaOf,
  type Refused,
  refusedOf,
  sessionIdOf,
} from './answers.ts'
import {
  type Call,
  type ConsulOptions,
  type ConsulPackage,
  Context,
  openTransport,
  type Response,
} from './transport.ts'

export type { Answer, Entry, Meta, Refused } from './answers.ts'
export type { ConsulOptions } from './transport.ts'

/** `stale`: any server answers, even without a leader. `default`: the leader. `consistent`: the leader, after asking a quorum. */
export type Consistency = 'stale' | 'default' | 'consistent'

export interface Reading {
  readonly consistency?: Consistency
  /** Blocks until something is newer than this index or `waitMs` is over; 0 or left out answers at once. */
  readonly index?: number
}

/** One operation of a transaction, as Consul names them. */
export interface Operation {
  readonly verb:
    | 'set'
    | 'cas'
    | 'lock'
    | 'unlock'
    | 'get'
    | 'check-index'
    | 'check-session'
    | 'check-not-exists'
    | 'delete'
    | 'delete-cas'
  readonly key: string
  readonly value?: Uint8Array
  readonly flags?: number
  readonly index?: number
  readonly session?: string
}

export type Transacted =
  | { readonly committed: true; readonly entries: readonly Entry[] }
  | { readonly committed: false; readonly refused: readonly Refused[] }

/** A finished request, for metrics: `outcome` is `ok`, `cancelled` or an error code. */
export interface RequestReport {
  readonly kind: string
  readonly outcome: string
  readonly ms: number
}

/**
 * Consul, guarded. Every method rejects with the signal's reason when it aborts, and otherwise throws FleetError: `CONSUL_UNREACHABLE`,
 * `CONSUL_NO_LEADER`, `CONSUL_STALLED`, `CONSUL_BAD_ANSWER`, `CONSUL_LIMITED` (transient), `CONSUL_DENIED` (refused), `CONSUL_TOO_LARGE` (usage).
 */
export interface ConsulClient {
  readonly clock: Clock
  readonly log: Logger
  /** How long a blocking query may stay quiet, in milliseconds. */
  readonly waitMs: number
  keys(app: string): Keys
  /** Null only when Consul itself says that there is no such key. */
  get(key: string, signal: AbortSignal, reading?: Reading): Promise<Answer<Entry | null>>
  /** Sorted by key. */
  list(prefix: string, signal: AbortSignal, reading?: Reading): Promise<Answer<readonly Entry[]>>
  put(key: string, value: Uint8Array, signal: AbortSignal): Promise<void>
  /** False: the key is no longer at `index` (0: it exists already), nothing was written. */
  cas(key: string, value: Uint8Array, index: number, signal: AbortSignal): Promise<boolean>
  /** False: a living session holds it. */
  acquire(key: string, value: Uint8Array, session: string, signal: AbortSignal): Promise<boolean>
  /** False only with `index`: the key is no longer at it. Gone already is true. */
  delete(key: string, signal: AbortSignal, index?: number): Promise<boolean>
  transact(operations: readonly Operation[], signal: AbortSignal): Promise<Transacted>
  /** Lock-delay 0, no checks, behaviour release. @param ttlSeconds 10 or more: Consul refuses less */
  createSession(name: string, ttlSeconds: number, signal: AbortSignal): Promise<string>
  /** False: the session is gone. @param deadlineMs shorter than usual where a late answer is worth nothing */
  renewSession(id: string, signal: AbortSignal, deadlineMs?: number): Promise<boolean>
  /** Gone already is fine. */
  destroySession(id: string, signal: AbortSignal): Promise<void>
  isSessionAlive(id: string, signal: AbortSignal): Promise<boolean>
  /** Any other call of the package, with the same deadline, cancel and error mapping. `send` must pass `ctx` on. */
  call(
    kind: string,
    send: (consul: ConsulPackage, common: { readonly ctx: Context }) => Call,
    signal: AbortSignal,
    deadlineMs?: number,
  ): Promise<Response>
  /** Closes idle connections. Requests in flight are ended by their signals. */
  close(): void
}

/** A default read without a quorum takes Consul 7 s to fail; this lets it say so. */
const DEADLINE_MS = 10_000

/** Consul's own limit. */
const MAX_OPERATIONS = 64

/** Consul adds up to wait/16 of jitter on its side; a client that gives up sooner would never see a quiet answer. */
export function blockingDeadlineMs(waitMs: number): number {
  return Math.ceil((waitMs * 17) / 16) + 5_000
}

export interface ConsulWorld {
  readonly clock: Clock
  readonly log: Logger
  readonly onRequest?: (report: RequestReport) => void
}

/** Connects to Consul; nothing is sent yet. @throws FleetError `CONFIG_INVALID` */
export function connectConsul(options: ConsulOptions, world: ConsulWorld): ConsulClient {
  const consul = openTransport(options)
  const { clock, log } = world
  const waitMs = options.waitMs ?? 60_000
  const address = new URL(options.url)
  const prefix = options.prefix ?? DEFAULT_PREFIX

  /** Settles by `deadlineMs` whatever the package does, and then the socket is destroyed. */
  async function settle(
    kind: string,
    send: (common: { ctx: Context }) => Call,
    signal: AbortSignal,
    deadlineMs: number,
  ) {
    signal.throwIfAborted()
    const ctx = new Context()
    const over = new AbortController()
    const began = clock.monotonic()
    try {
      return await new Promise<Response>((resolve, reject) => {
        const abort = () => reject(signal.reason)
        signal.addEventListener('abort', abort, { once: true })
        over.signal.addEventListener('abort', () => signal.removeEventListener('abort', abort), { once: true })
        clock.sleep(deadlineMs, over.signal).then(
          () => {
            const seconds = Math.round((clock.monotonic() - began) / 1_000)
            const detail = `${kind} stalled for ${seconds} s at ${address.host}; reconnecting`
            reject(new FleetError('CONSUL_STALLED', detail))
          },
          () => undefined,
        )
        send({ ctx }).then(([response]) => resolve(response), reject)
      })
    } finally {
      over.abort()
      // After an answer this reaches nobody; otherwise it destroys the socket, which frees the slot a blocking query holds at the agent.
      ctx.emit('cancel')
    }
  }

  async function call(
    kind: string,
    send: (consul: ConsulPackage, common: { readonly ctx: Context }) => Call,
    signal: AbortSignal,
    deadlineMs = DEADLINE_MS,
    again = false,
  ): Promise<Response> {
    const began = clock.monotonic()
    const report = (outcome: string) =>
      world.onRequest?.({ kind: kind.split(' ')[0] ?? kind, outcome, ms: clock.monotonic() - began })
    try {
      const response = await settle(kind, (common) => send(consul, common), signal, deadlineMs)
      report('ok')
      return response
    } catch (thrown) {
      if (signal.aborted) {
        report('cancelled')
        throw signal.reason
      }
      const { error, broken } = failureOf(thrown, kind, address.host)
      report(error.code)
      // Once, at once: a kept-alive connection that the other side closed meanwhile says nothing about Consul's health.
      if (broken && again) return call(kind, send, signal, deadlineMs)
      throw error
    }
  }

  /** As `call`, for a request of which Consul says with a status what became of it. */
  async function callFor(statuses: readonly number[], ...args: Parameters<typeof call>): Promise<Response> {
    try {
      return await call(...args)
    } catch (error) {
      const cause = error instanceof FleetError ? error.cause : null
      const response = cause instanceof Error && 'response' in cause ? (cause.response as Response) : null
      if (response !== null && statuses.includes(response.statusCode)) return response
      throw error
    }
  }

  async function read(key: string, recurse: boolean, signal: AbortSignal, reading: Reading): Promise<Response> {
    const { consistency = 'default', index = 0 } = reading
    const query = {
      key,
      buffer: true,
      ...(recurse && { recurse }),
      ...(consistency !== 'default' && { [consistency]: true }),
      ...(index > 0 && { index: String(index), wait: `${Math.ceil(waitMs)}ms` }),
    }
    const deadlineMs = index > 0 ? blockingDeadlineMs(waitMs) : DEADLINE_MS
    const kind = `${index > 0 ? 'watching' : 'reading'} ${key}`
    return call(kind, (consul, common) => consul.kv.get({ ...query, ...common }), signal, deadlineMs, true)
  }

  function write(
    kind: string,
    key: string,
    value: Uint8Array,
    how: { cas?: number; acquire?: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    const body = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return call(
      `${kind} ${key}`,
      (consul, common) => consul.kv.set({ key, value: body, ...how, ...common }),
      signal,
    ).then((response) => booleanOf(response, `${kind} ${key}`))
  }

  return {
    clock,
    log,
    waitMs,
    keys: (app) => keysOf(prefix, app),
    call: (kind, send, signal, deadlineMs) => call(kind, send, signal, deadlineMs),

    async get(key, signal, reading = {}) {
      const response = await read(key, false, signal, reading)
      return { value: entriesOf(response, { key })[0] ?? null, meta: metaOf(response) }
    },

    async list(under, signal, reading = {}) {
      const response = await read(under, true, signal, reading)
      return { value: entriesOf(response, { prefix: under }), meta: metaOf(response) }
    },

    async put(key, value, signal) {
      if (!(await write('writing', key, value, {}, signal))) {
        throw new FleetError('CONSUL_BAD_ANSWER', `Consul says false to a plain write of ${key}: nothing was written`)
      }
    },

    cas: (key, value, index, signal) => write('writing', key, value, { cas: index }, signal),
    acquire: (key, value, session, signal) => write('locking', key, value, { acquire: session }, signal),

    async delete(key, signal, index) {
      const how = index === undefined ? {} : { cas: index }
      const kind = `deleting ${key}`
      const response = await call(kind, (consul, common) => consul.kv.del({ key, ...how, ...common }), signal)
      return booleanOf(response, kind)
    },

    async transact(operations, signal) {
      if (operations.length > MAX_OPERATIONS) {
        const detail = `a transaction of ${operations.length} operations, Consul takes at most ${MAX_OPERATIONS}`
        throw new FleetError('CONSUL_TOO_LARGE', `${detail}; nothing was sent`)
      }
      const kind = 'transaction'
      const body = operations.map(wireOperation)
      const response = await callFor([409], kind, (consul, common) => consul.transaction.create(body, common), signal)
      if (response.statusCode === 409) return { committed: false, refused: refusedOf(response) }
      return { committed: true, entries: committedOf(response) }
    },

    async createSession(name, ttlSeconds, signal) {
      const query = { name, ttl: `${ttlSeconds}s`, lockdelay: '0s', behavior: 'release' }
      return sessionIdOf(
        await call('session-create', (consul, common) => consul.session.create({ ...query, ...common }), signal),
      )
    },

    async renewSession(id, signal, deadlineMs) {
      const kind = `session-renew ${id}`
      const send = (consul: ConsulPackage, common: { readonly ctx: Context }) => consul.session.renew({ id, ...common })
      const response = await callFor([404], kind, send, signal, deadlineMs)
      if (response.statusCode !== 404) return listedSession(response, kind) === id
      // Consul's own words; a 404 of a proxy must not end a session that lives.
      if (String(response.body).includes(id)) return false
      throw new FleetError('CONSUL_BAD_ANSWER', `${kind} was answered 404 by something that is not Consul`)
    },

    async destroySession(id, signal) {
      const kind = `session-destroy ${id}`
      const response = await call(kind, (consul, common) => consul.session.destroy({ id, ...common }), signal)
      if (!booleanOf(response, kind)) throw new FleetError('CONSUL_BAD_ANSWER', `Consul says false to ${kind}`)
    },

    async isSessionAlive(id, signal) {
      const kind = `session-info ${id}`
      const response = await call(kind, (consul, common) => consul.session.info({ id, ...common }), signal)
      return listedSession(response, kind) === id
    },

    close: () => consul.destroy(),
  }
}

function wireOperation(operation: Operation): object {
  const { verb, key, value, flags, index, session } = operation
  return {
    KV: {
      Verb: verb,
      Key: key,
      ...(value !== undefined && { Value: Buffer.from(value).toString('base64') }),
      ...(flags !== undefined && { Flags: flags }),
      ...(index !== undefined && { Index: index }),
      ...(session !== undefined && { Session: session }),
    },
  }
}

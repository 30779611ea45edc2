// Owns Consul in our words: keys, sessions and transactions, of which only answers of the right shape are believed.
import { FleetError } from '#fleet/errors.ts'
import { DEFAULT_PREFIX, type Keys, keysOf } from '#fleet/keys.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import {
  type Answer,
  booleanOf,
  committedOf,
  type Entry,
  entriesOf,
  listedSession,
  metaOf,
  namesOf,
  type Refused,
  refusedOf,
  sessionIdOf,
} from './answers.ts'
import { type ConsulWorld, openRequests, type Send } from './request.ts'
import type { ConsulOptions, Response } from './transport.ts'

export type { Answer, Entry, Meta, Refused } from './answers.ts'
export type { ConsulWorld, RequestReport } from './request.ts'
export type { ConsulOptions, Response } from './transport.ts'

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
  /** The names of the keys below a prefix, sorted; with `separator` each only up to and with the next one. */
  names(prefix: string, signal: AbortSignal, separator?: string): Promise<readonly string[]>
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
  /** Any other call of the package, with the same deadline, cancel and error mapping. */
  call(kind: string, send: Send, signal: AbortSignal, deadlineMs?: number): Promise<Response>
  /** Closes all connections; what is in flight fails. */
  close(): void
}

/** Consul's own limit. */
const MAX_OPERATIONS = 64

/** Consul adds up to wait/16 of jitter on its side; a client that gives up sooner would never see a quiet answer. */
function blockingDeadlineMs(waitMs: number): number {
  return Math.ceil((waitMs * 17) / 16) + 5_000
}

/** Connects to Consul; nothing is sent yet. @throws FleetError `CONFIG_INVALID` */
export function connectConsul(options: ConsulOptions, world: ConsulWorld): ConsulClient {
  const requests = openRequests(options, world)
  const waitMs = options.waitMs ?? 60_000
  const prefix = options.prefix ?? DEFAULT_PREFIX

  function read(key: string, recurse: boolean, signal: AbortSignal, reading: Reading): Promise<Response> {
    const { consistency = 'default', index = 0 } = reading
    const query = {
      key,
      buffer: true,
      ...(recurse && { recurse }),
      ...(consistency !== 'default' && { [consistency]: true }),
      ...(index > 0 && { index: String(index), wait: `${Math.ceil(waitMs)}ms` }),
    }
    const limits = { again: true, ...(index > 0 && { deadlineMs: blockingDeadlineMs(waitMs) }) }
    const kind = `${index > 0 ? 'watching' : 'reading'} ${key}`
    return requests.send(kind, (consul, common) => consul.kv.get({ ...query, ...common }), signal, limits)
  }

  async function write(
    kind: string,
    write: { key: string; value: Uint8Array; cas?: number; acquire?: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { buffer, byteOffset, byteLength } = write.value
    const query = { ...write, value: Buffer.from(buffer, byteOffset, byteLength) }
    const what = `${kind} ${write.key}`
    return booleanOf(
      await requests.send(what, (consul, common) => consul.kv.set({ ...query, ...common }), signal),
      what,
    )
  }

  return {
    clock: world.clock,
    log: world.log,
    waitMs,
    keys: (app) => keysOf(prefix, app),
    call: (kind, send, signal, deadlineMs) =>
      requests.send(kind, send, signal, deadlineMs === undefined ? {} : { deadlineMs }),
    close: requests.close,

    async get(key, signal, reading = {}) {
      const response = await read(key, false, signal, reading)
      return { value: entriesOf(response, { key })[0] ?? null, meta: metaOf(response) }
    },

    async list(under, signal, reading = {}) {
      const response = await read(under, true, signal, reading)
      return { value: entriesOf(response, { prefix: under }), meta: metaOf(response) }
    },

    async names(under, signal, separator) {
      const query = { key: under, consistent: true, ...(separator !== undefined && { separator }) }
      const send: Send = (consul, common) => consul.kv.keys({ ...query, ...common })
      return namesOf(await requests.send(`listing ${under}`, send, signal, { again: true, expect: [404] }), under)
    },

    async put(key, value, signal) {
      if (await write('writing', { key, value }, signal)) return
      throw new FleetError('CONSUL_BAD_ANSWER', `Consul says false to a plain write of ${key}: nothing was written`)
    },

    cas: (key, value, index, signal) => write('writing', { key, value, cas: index }, signal),
    acquire: (key, value, session, signal) => write('locking', { key, value, acquire: session }, signal),

    async delete(key, signal, index) {
      const query = index === undefined ? { key } : { key, cas: index }
      const kind = `deleting ${key}`
      return booleanOf(
        await requests.send(kind, (consul, common) => consul.kv.del({ ...query, ...common }), signal),
        kind,
      )
    },

    async transact(operations, signal) {
      if (operations.length > MAX_OPERATIONS) {
        const detail = `a transaction of ${operations.length} operations, Consul takes at most ${MAX_OPERATIONS}`
        throw new FleetError('CONSUL_TOO_LARGE', `${detail}; nothing was sent`)
      }
      const body = operations.map(wireOperation)
      const send: Send = (consul, common) => consul.transaction.create(body, common)
      const response = await requests.send('transaction', send, signal, { expect: [409] })
      if (response.statusCode === 409) return { committed: false, refused: refusedOf(response) }
      return { committed: true, entries: committedOf(response) }
    },

    async createSession(name, ttlSeconds, signal) {
      const query = { name, ttl: `${ttlSeconds}s`, lockdelay: '0s', behavior: 'release' }
      const send: Send = (consul, common) => consul.session.create({ ...query, ...common })
      return sessionIdOf(await requests.send('session-create', send, signal))
    },

    async renewSession(id, signal, deadlineMs) {
      const kind = `session-renew ${id}`
      const limits = { expect: [404], ...(deadlineMs !== undefined && { deadlineMs }) }
      const send: Send = (consul, common) => consul.session.renew({ id, ...common })
      const response = await requests.send(kind, send, signal, limits)
      if (response.statusCode !== 404) return listedSession(response, kind) === id
      // Consul's own words; a 404 of a proxy must not end a session that lives.
      if (String(response.body).includes(id)) return false
      throw new FleetError('CONSUL_BAD_ANSWER', `${kind} was answered 404 by something that is not Consul`)
    },

    async destroySession(id, signal) {
      const kind = `session-destroy ${id}`
      const send: Send = (consul, common) => consul.session.destroy({ id, ...common })
      if (booleanOf(await requests.send(kind, send, signal), kind)) return
      throw new FleetError('CONSUL_BAD_ANSWER', `Consul says false to ${kind}`)
    },

    async isSessionAlive(id, signal) {
      const kind = `session-info ${id}`
      const send: Send = (consul, common) => consul.session.info({ id, ...common })
      return listedSession(await requests.send(kind, send, signal, { again: true }), kind) === id
    },
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

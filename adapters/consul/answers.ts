// Owns what is believed of Consul's answers: their shapes, their headers, and which error of ours each failure is.
import { type ErrorCode, FleetError } from '#fleet/errors.ts'
import { BrokenAnswer, type Response } from './transport.ts'

/** What the headers of an answer say. `index` is 0 when Consul sent none that can be used. */
export interface Meta {
  readonly index: number
  readonly knownLeader: boolean
  /** How long ago the answering server last heard of the leader, in milliseconds; 0 from the leader itself. */
  readonly lastContactMs: number
}

export interface Answer<value> {
  readonly value: value
  readonly meta: Meta
}

/** A key and its value. `session` is the living session that holds it, or null. */
export interface Entry {
  readonly key: string
  readonly value: Uint8Array
  readonly flags: number
  readonly createIndex: number
  readonly modifyIndex: number
  readonly lockIndex: number
  readonly session: string | null
}

/** A refused part of a transaction: the place of its operation, and Consul's reason. */
export interface Refused {
  readonly operation: number
  readonly what: string
}

function bad(detail: string): FleetError {
  return new FleetError('CONSUL_BAD_ANSWER', `${detail}; what was known before stands`)
}

function header(response: Response, name: string): string {
  const value = response.headers[name]
  return typeof value === 'string' ? value : ''
}

function wholeNumber(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : 0
  return Number.isSafeInteger(value) ? value : 0
}

export function metaOf(response: Response): Meta {
  return {
    index: wholeNumber(header(response, 'x-consul-index')),
    knownLeader: header(response, 'x-consul-knownleader') !== 'false',
    lastContactMs: wholeNumber(header(response, 'x-consul-lastcontact')),
  }
}

/** The JSON of a 200. A page of a proxy in between, or nothing at all, is an error and never "no such key". */
export function jsonOf(response: Response, kind: string): unknown {
  const type = header(response, 'content-type').split(';')[0]?.trim()
  if (type !== 'application/json') {
    throw bad(`${kind} was answered ${response.statusCode} with ${type ? type : 'no content type'} and not with JSON`)
  }
  if (response.body === undefined) throw bad(`${kind} was answered ${response.statusCode} with an empty body`)
  return response.body
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function indexIn(item: Record<string, unknown>, field: string): number {
  const value = item[field]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(`an entry has no ${field}`)
  return value
}

function entryOf(item: unknown): Entry {
  if (!isRecord(item) || typeof item.Key !== 'string') throw bad('an entry has no Key')
  const value = item.Value
  if (value !== null && value !== undefined && !(value instanceof Uint8Array)) throw bad('an entry has no Value')
  const session = item.Session
  return {
    key: item.Key,
    value: value ?? new Uint8Array(),
    // Flags of other writers may pass 2^53; ours never do.
    flags: typeof item.Flags === 'number' ? item.Flags : 0,
    createIndex: indexIn(item, 'CreateIndex'),
    modifyIndex: indexIn(item, 'ModifyIndex'),
    lockIndex: indexIn(item, 'LockIndex'),
    session: typeof session === 'string' && session !== '' ? session : null,
  }
}

/**
 * The entries of a KV read; empty only when Consul itself says 404. A 404 of a proxy carries none of Consul's headers, or a page.
 * @param asked the key that was read, or the prefix of a list: entries of anything else are refused
 */
export function entriesOf(response: Response, asked: { key: string } | { prefix: string }): readonly Entry[] {
  const kind = 'key' in asked ? `reading ${asked.key}` : `reading ${asked.prefix}`
  if (response.statusCode === 404) {
    const ours = header(response, 'x-consul-index') !== '' || header(response, 'x-consul-knownleader') !== ''
    if (!ours || response.body !== undefined) throw bad(`${kind} was answered 404 by something that is not Consul`)
    return []
  }
  const body = jsonOf(response, kind)
  if (!Array.isArray(body) || body.length === 0) throw bad(`${kind} was not answered with a list of entries`)
  const entries = body.map(entryOf)
  const stray = entries.find((entry) =>
    'key' in asked ? entry.key !== asked.key : !entry.key.startsWith(asked.prefix),
  )
  if (stray !== undefined) throw bad(`${kind} was answered with the key ${stray.key}`)
  return entries
}

/** The names of a KV listing; empty only when Consul itself says 404. */
export function namesOf(response: Response, prefix: string): readonly string[] {
  if (response.statusCode === 404) return entriesOf(response, { prefix }).map(({ key }) => key)
  const body = jsonOf(response, `listing ${prefix}`)
  if (!Array.isArray(body)) throw bad(`listing ${prefix} was not answered with a list of names`)
  return body.map((name: unknown) => {
    if (typeof name === 'string' && name.startsWith(prefix)) return name
    throw bad(`listing ${prefix} was answered with the name ${JSON.stringify(name)}`)
  })
}

/** The `true` or `false` of a write: anything else is no proof that something was written. */
export function booleanOf(response: Response, kind: string): boolean {
  const body = jsonOf(response, kind)
  if (typeof body !== 'boolean') throw bad(`${kind} was answered neither true nor false`)
  return body
}

export function sessionIdOf(response: Response): string {
  const body = jsonOf(response, 'making a session')
  if (!isRecord(body) || typeof body.ID !== 'string' || body.ID === '') throw bad('making a session gave no ID')
  return body.ID
}

/** The id of a session list's only item, null for the empty list that Consul sends for a dead session. */
export function listedSession(response: Response, kind: string): string | null {
  const body = jsonOf(response, kind)
  if (!Array.isArray(body)) throw bad(`${kind} was not answered with a list`)
  if (body.length === 0) return null
  const [item]: unknown[] = body
  if (!isRecord(item) || typeof item.ID !== 'string') throw bad(`${kind} was answered with no ID`)
  return item.ID
}

/** Results of a committed transaction: the entries it read or wrote (`value` only where it was a `get`). */
export function committedOf(response: Response): readonly Entry[] {
  const body = jsonOf(response, 'a transaction')
  if (!isRecord(body) || body.Errors) throw bad('a transaction was answered 200 without results')
  const results = body.Results ?? []
  if (!Array.isArray(results)) throw bad('a transaction was answered with no list of results')
  return results.map((result: unknown) => {
    const item = isRecord(result) ? result.KV : undefined
    if (!isRecord(item)) throw bad('a transaction was answered with a result that is no entry')
    const value = item.Value
    return entryOf({ ...item, Value: typeof value === 'string' ? Buffer.from(value, 'base64') : null })
  })
}

/** The reasons of a 409. Consul sends them as text/plain, so the body may be JSON that nobody parsed yet. */
export function refusedOf(response: Response): readonly Refused[] {
  let body: unknown = response.body
  try {
    if (typeof body === 'string' || body instanceof Uint8Array) body = JSON.parse(body.toString())
  } catch {
    body = null
  }
  const errors = isRecord(body) ? body.Errors : null
  if (!Array.isArray(errors) || errors.length === 0) throw bad('a transaction was answered 409 without reasons')
  return errors.map((error: unknown) => {
    const place = isRecord(error) ? error.OpIndex : null
    if (!isRecord(error) || typeof place !== 'number') throw bad('a transaction was answered 409 without reasons')
    return { operation: place, what: String(error.What ?? '') }
  })
}

/** Any failed status of Consul (or of something that speaks in its place) as an error of ours. */
function statusError(response: Response, kind: string, cause: Error): FleetError {
  const status = response.statusCode
  const body = response.body
  const text = typeof body === 'string' || body instanceof Uint8Array ? body.toString().trim().slice(0, 200) : ''
  const page = text.startsWith('<')
  const said = text === '' || page ? `${status}` : `${status}: ${text}`
  const fail = (code: ErrorCode, detail: string) => new FleetError(code, detail, { cause })
  if (status === 403) return fail('CONSUL_DENIED', `Consul token refused (403) for ${kind}${text ? `: ${text}` : ''}`)
  if (status === 413) return fail('CONSUL_TOO_LARGE', `${kind} was refused by Consul (413)`)
  if (status === 429 || /RESOURCE_EXHAUSTED|rate limit/i.test(text)) {
    return fail('CONSUL_LIMITED', `Consul limits this client, ${kind} was answered ${said}; backing off`)
  }
  if (/no cluster leader|no leader|not the leader|leadership/i.test(text)) {
    return fail('CONSUL_NO_LEADER', `Consul has no leader, ${kind} was answered ${said}`)
  }
  if (status >= 500 && !page) return fail('CONSUL_UNREACHABLE', `${kind} was answered ${said}`)
  return fail('CONSUL_BAD_ANSWER', `${kind} was answered ${said}; what was known before stands`)
}

export interface Failure {
  readonly error: FleetError
  /** The connection broke: an idempotent read may be sent once more at once. */
  readonly broken: boolean
  /** The answer with a failed status, where there was one. */
  readonly response: Response | null
}

function isAnswer(value: unknown): value is Response {
  return isRecord(value) && typeof value.statusCode === 'number' && typeof value.headers === 'object'
}

/** What papi or the network threw, as an error of ours. @param where address of Consul, for people */
export function failureOf(thrown: unknown, kind: string, where: string): Failure {
  if (thrown instanceof FleetError) return { error: thrown, broken: false, response: null }
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown))
  // The package puts its own name and the call's in front of every message.
  const said = cause.message.replace(/^consul: [\w.]+: /, '')
  const fail = (code: ErrorCode, detail: string, broken = false): Failure => ({
    error: new FleetError(code, detail, { cause }),
    broken,
    response: null,
  })
  // The response leads to the request and so to our token: whoever prints the error must not print that.
  if ('response' in cause) Object.defineProperty(cause, 'response', { enumerable: false })
  // The package puts the response on every error, also on those that say that it broke off.
  if ('isResponse' in cause && 'response' in cause && isAnswer(cause.response)) {
    const { response } = cause
    return { error: statusError(response, kind, cause), broken: false, response }
  }
  if (cause instanceof BrokenAnswer) return fail('CONSUL_UNREACHABLE', `${kind}: ${said}`, true)
  if ('isCodec' in cause || cause instanceof SyntaxError) {
    return fail(
      'CONSUL_BAD_ANSWER',
      `${kind} was answered with JSON that cannot be parsed; what was known before stands`,
    )
  }
  const code = 'code' in cause ? String(cause.code) : ''
  if (code === 'ECONNREFUSED') return fail('CONSUL_UNREACHABLE', `Consul at ${where} refuses connections; retrying`)
  if (code === 'ECONNRESET' || code === 'EPIPE' || code.startsWith('HPE_')) {
    return fail('CONSUL_UNREACHABLE', `Consul at ${where} closed the connection (its limit?); retrying`, true)
  }
  if (/CERT|TLS|SSL|SIGNATURE|ISSUER/.test(code)) {
    const detail = `the certificate of Consul at ${where} is not accepted: ${said}`
    return fail('CONSUL_UNREACHABLE', `${detail}; nothing is sent without one`)
  }
  return fail('CONSUL_UNREACHABLE', `Consul at ${where} cannot be reached: ${code || said}`)
}

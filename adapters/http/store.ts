// Owns the store behind a plain web server (`http://…`, `https://…`): read-only, no redirects, no surprises.
import type { ClientRequest, IncomingMessage } from 'node:http'
import https from 'node:https'
import { readBody } from '#adapters/body.ts'
import type { StorePatience } from '#adapters/store.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { BuildStore, ByteRange, Clock } from '#fleet/ports.ts'

// Not imported: see docs/decisions/0013.
const http = process.getBuiltinModule('node:http')

/** A store whose objects lie below a URL. Range requests are used where the server knows them. */
export function httpStore(base: string, { answerMs, stallMs }: StorePatience, clock: Clock): BuildStore {
  const root = new URL(base.endsWith('/') ? base : `${base}/`)
  const scheme = root.protocol === 'https:' ? https : http
  const agent = new scheme.Agent({ keepAlive: true, maxSockets: 8 })
  const urlOf = (name: string) => new URL(name.split('/').map(encodeURIComponent).join('/'), root)
  const what = (name: string) => `${name} of ${root.host}`
  /** Whether the last range that was asked for was answered by that range; null when none was. */
  let knowsRanges: boolean | null = null

  const ask = async (name: string, method: string, headers: Record<string, string>, signal: AbortSignal) => {
    // `identity`: bytes that somebody compressed on the way are not the bytes that were asked for (failures B11).
    const options = { method, agent, headers: { ...headers, 'accept-encoding': 'identity' } }
    const once = () => exchange(scheme.request(urlOf(name), options), what(name), answerMs, signal)
    return once().catch((error: unknown) => {
      // A kept connection that the server closed meanwhile: that was no answer, so ask again on a new one.
      if (error instanceof StaleConnection) return once()
      throw error
    })
  }
  return {
    async find(name, signal) {
      const answer = await ask(name, 'HEAD', {}, signal)
      answer.resume()
      if (answer.statusCode === 404 || answer.statusCode === 410) return null
      if (answer.statusCode !== 200) throw statusFault(answer, what(name), clock)
      const wholeOnly = !(knowsRanges ?? answer.headers['accept-ranges'] === 'bytes')
      return { bytes: lengthOf(answer, what(name)), version: versionOf(answer), ...(wholeOnly && { wholeOnly }) }
    },
    async *read(name, { range, version }, signal) {
      const headers: Record<string, string> = {}
      if (range !== undefined) {
        if (range.end <= range.start) return
        headers.range = `bytes=${range.start}-${range.end - 1}`
      }
      // A weak or made-up version would never match: those are compared below.
      if (version?.startsWith('"')) headers['if-match'] = version
      const answer = await ask(name, 'GET', headers, signal)
      try {
        checkAnswer(answer, range, version, what(name), clock)
      } catch (error) {
        answer.destroy()
        throw error
      }
      if (range !== undefined) knowsRanges = answer.statusCode === 206
      const bytes = lengthOf(answer, what(name))
      const body = readBody(answer, { bytes, stallMs, what: what(name) }, signal)
      if (range === undefined || answer.statusCode === 206) yield* body
      else yield* cut(body, range)
    },
    async create(name) {
      throw new FleetError(
        'STORE_READ_ONLY',
        `${name} cannot be written to ${root.host}: publish to its s3:// or file:// store`,
      )
    },
    // biome-ignore lint/correctness/useYield: there is nothing to yield
    async *list(prefix) {
      throw new FleetError('STORE_READ_ONLY', `what lies below ${prefix} cannot be listed on ${root.host}`)
    },
    async remove(name) {
      throw new FleetError('STORE_READ_ONLY', `${name} cannot be removed from ${root.host}`)
    },
  }
}

class StaleConnection extends Error {}

/** Sends a request and waits for the head of its answer, not longer than `answerMs`. */
function exchange(
  request: ClientRequest,
  what: string,
  answerMs: number,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const onAbort = () => request.destroy(signal.reason as Error)
    const timer = setTimeout(() => {
      request.destroy(new FleetError('STORE_UNREACHABLE', `${what}: no answer within ${answerMs / 1_000} s`))
    }, answerMs)
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
    request.once('response', (answer) => {
      settle()
      resolve(answer)
    })
    request.on('error', (error) => {
      settle()
      if (signal.aborted) reject(signal.reason)
      else if (isFleetError(error)) reject(error)
      else if (request.reusedSocket) reject(new StaleConnection())
      else reject(new FleetError('STORE_UNREACHABLE', `${what} cannot be reached`, { cause: error }))
    })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    request.end()
  })
}

function versionOf(answer: IncomingMessage): string {
  const { etag, 'last-modified': modified, 'content-range': range, 'content-length': length } = answer.headers
  return etag ?? `${modified ?? ''}/${range?.split('/')[1] ?? length ?? ''}`
}

function lengthOf(answer: IncomingMessage, what: string): number {
  const length = Number(answer.headers['content-length'] ?? Number.NaN)
  if (Number.isSafeInteger(length) && length >= 0) return length
  throw new FleetError('STORE_BAD_ANSWER', `${what} came without a length`)
}

function checkAnswer(
  answer: IncomingMessage,
  range: ByteRange | undefined,
  version: string | undefined,
  what: string,
  clock: Clock,
): void {
  if (answer.statusCode !== 200 && !(range !== undefined && answer.statusCode === 206))
    throw statusFault(answer, what, clock)
  const encoding = answer.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new FleetError('STORE_BAD_ANSWER', `${what} came ${encoding}-encoded though it was asked for as it is`)
  }
  if (version !== undefined && versionOf(answer) !== version) {
    throw new FleetError('STORE_CHANGED', `${what} is no longer the object it was`)
  }
  if (range === undefined || answer.statusCode !== 206) return
  const bounds = /^bytes (\d+)-(\d+)\//.exec(answer.headers['content-range'] ?? '')
  if (Number(bounds?.[1]) !== range.start || Number(bounds?.[2]) >= range.end) {
    throw new FleetError('STORE_BAD_ANSWER', `${what} came as another range than asked for`)
  }
}

/** Wall clocks further apart than this make S3 refuse a request. */
const SKEW_MS = 15 * 60_000

/** What a status means, with the fix where there is one. */
function statusFault(answer: IncomingMessage, what: string, clock: Clock): FleetError {
  const status = answer.statusCode ?? 0
  const said = `${what}: HTTP ${status}`
  if (status === 404 || status === 410) return new FleetError('STORE_MISSING', `${what} is not in the store`)
  if (status === 401 || status === 403) {
    const offMs = Date.parse(answer.headers.date ?? '') - clock.now()
    return Math.abs(offMs) > SKEW_MS
      ? new FleetError('STORE_CLOCK_SKEW', `${said}; the clock here is ${Math.round(Math.abs(offMs) / 60_000)} min off`)
      : new FleetError('STORE_DENIED', `${said}: the store refused the request`)
  }
  if (status === 412) return new FleetError('STORE_CHANGED', `${what} is no longer the object it was`)
  if (status >= 300 && status < 400) {
    return new FleetError(
      'STORE_BAD_ANSWER',
      `${said}: a redirect, which is never followed; configure the store's own address`,
    )
  }
  if (status === 429 || status >= 500)
    return new FleetError('STORE_UNREACHABLE', `${said}: the store is overloaded or broken`)
  return new FleetError('STORE_BAD_ANSWER', said)
}

/** A range out of a whole object, for servers that know no ranges. */
async function* cut(body: AsyncIterable<Uint8Array>, range: ByteRange): AsyncGenerator<Uint8Array> {
  let at = 0
  for await (const piece of body) {
    const from = Math.max(0, range.start - at)
    const to = Math.min(piece.byteLength, range.end - at)
    // Before it is the reader's.
    at += piece.byteLength
    if (to > from) yield piece.subarray(from, to)
    if (at >= range.end) return
  }
}

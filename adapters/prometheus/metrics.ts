// Owns asking a Prometheus by its HTTP API: one request, a limit of time and size, and nothing believed that is not whole.
import { FleetError } from '#fleet/errors.ts'
import type { Metrics } from '#fleet/metrics.ts'
import { pointsOf, valuesOf } from './answers.ts'

/** Where it is, and what is sent along, for instance `authorization`. A user and password may stand in the URL. */
export interface PrometheusOptions {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A verdict needs few numbers: whoever answers with more was asked the wrong thing. */
const ANSWER_BYTES = 4 * 1024 * 1024
/** A regular expression over thousands of nodes is long; beyond this Prometheus itself refuses. */
const QUERY_BYTES = 512 * 1024

/** The Prometheus at a URL, or anything with its API. A path in the URL is kept (`http://…/prometheus`). */
export function prometheus(options: PrometheusOptions): Metrics {
  const { base, headers, host } = addressOf(options)

  async function ask(path: string, form: Readonly<Record<string, string>>, timeoutMs: number, signal: AbortSignal) {
    const body = new URLSearchParams({ ...form, timeout: `${Math.max(1, Math.ceil(timeoutMs))}ms` })
    if (Buffer.byteLength(form.query ?? '') > QUERY_BYTES) {
      throw new FleetError('METRICS_BAD_QUERY', `the query has more than ${QUERY_BYTES} bytes`)
    }
    const limit = AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs)))
    const either = AbortSignal.any([signal, limit])
    try {
      // POST: a query may be longer than a URL can be.
      const sent = { method: 'POST', headers, body, redirect: 'manual', signal: either } as const
      const answer = await fetch(new URL(path, base), sent)
      return { status: answer.status, text: await textOf(answer, host) }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (error instanceof FleetError) throw error
      const late = `${host} gave no whole answer within ${Math.ceil(timeoutMs)} ms`
      if (limit.aborted) throw new FleetError('METRICS_STALLED', late)
      throw new FleetError('METRICS_UNREACHABLE', `${host} cannot be reached`, { cause: error })
    }
  }

  return {
    async instant(query, { atMs, timeoutMs }, signal) {
      const time = atMs === null ? {} : { time: String(atMs / 1_000) }
      return valuesOf(await ask('api/v1/query', { query, ...time }, timeoutMs, signal), host)
    },

    async range(query, { fromMs, toMs, stepMs, timeoutMs }, signal) {
      const between = { start: String(fromMs / 1_000), end: String(toMs / 1_000), step: String(stepMs / 1_000) }
      return pointsOf(await ask('api/v1/query_range', { query, ...between }, timeoutMs, signal), host)
    },
  }
}

/** @throws FleetError `CONFIG_INVALID` for what is no address */
function addressOf({ url, headers = {} }: PrometheusOptions) {
  let base: URL
  try {
    base = new URL(url.endsWith('/') ? url : `${url}/`)
  } catch {
    throw new FleetError('CONFIG_INVALID', `prometheus ${JSON.stringify(url)} is no address like http://127.0.0.1:9090`)
  }
  const { username, password, host } = base
  base.username = ''
  base.password = ''
  const secret = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  return { base, host, headers: { ...(username !== '' && { authorization: `Basic ${secret}` }), ...headers } }
}

async function textOf(answer: Response, host: string): Promise<string> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of answer.body ?? []) {
    bytes += piece.byteLength
    if (bytes > ANSWER_BYTES) {
      throw new FleetError('METRICS_BAD_ANSWER', `${host} answered with more than ${ANSWER_BYTES} bytes`)
    }
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

// Owns what is believed of a Prometheus answer: status, shape and wholeness are checked before a number is read.
import * as v from 'valibot'
import { FleetError } from '#fleet/errors.ts'
import type { MetricPoint } from '#fleet/metrics.ts'

export interface Answer {
  readonly status: number
  readonly text: string
}

/** Series of one answer: a query that names more does not name a cohort. */
const SERIES_MOST = 10_000

// A sample is [seconds, "value"]; the value is text because JSON knows no NaN.
const sample = v.tuple([v.number(), v.string()])
const vector = v.object({ resultType: v.literal('vector'), result: v.array(v.object({ value: v.optional(sample) })) })
const scalar = v.object({ resultType: v.literal('scalar'), result: sample })
const matrix = v.object({
  resultType: v.literal('matrix'),
  result: v.array(v.object({ values: v.optional(v.array(sample)) })),
})
const data = v.variant('resultType', [vector, scalar, matrix])
const success = v.object({ status: v.literal('success'), data, warnings: v.optional(v.array(v.string()), []) })
const failure = v.object({ status: v.literal('error'), errorType: v.string(), error: v.string() })

/** @throws FleetError `METRICS_*`, as the `Metrics` port says */
export function valuesOf(answer: Answer, host: string): readonly number[] {
  const read = dataOf(answer, host)
  if (read.resultType === 'scalar') return [numberOf(read.result[1], host)]
  if (read.resultType !== 'vector') {
    throw new FleetError(
      'METRICS_BAD_QUERY',
      `${host} has a range of values for each series: the query must ask for one`,
    )
  }
  if (read.result.length > SERIES_MOST) throw tooMany(host, read.result.length)
  return read.result.map(({ value }) => {
    if (value === undefined) throw new FleetError('METRICS_BAD_QUERY', `${host} has histograms, no plain numbers`)
    return numberOf(value[1], host)
  })
}

/** @throws FleetError `METRICS_*`, as the `Metrics` port says */
export function pointsOf(answer: Answer, host: string): readonly (readonly MetricPoint[])[] {
  const read = dataOf(answer, host)
  if (read.resultType !== 'matrix') throw badAnswer(host, `a ${read.resultType} where a matrix was asked for`)
  if (read.result.length > SERIES_MOST) throw tooMany(host, read.result.length)
  return read.result.map(({ values }) => {
    if (values === undefined) throw new FleetError('METRICS_BAD_QUERY', `${host} has histograms, no plain numbers`)
    return values.map(([seconds, text]) => ({ atMs: Math.round(seconds * 1_000), value: numberOf(text, host) }))
  })
}

function dataOf({ status, text }: Answer, host: string) {
  if (status === 401 || status === 403) throw new FleetError('METRICS_DENIED', `${host} answered ${status}`)
  if (status >= 300 && status < 400) throw badAnswer(host, `${status}, a redirect, which is never followed`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    if (status >= 500 || status === 429) {
      throw new FleetError('METRICS_UNREACHABLE', `${host} answered ${status}: it is overloaded or broken`, { cause })
    }
    throw badAnswer(host, `${status} and no JSON`)
  }
  const failed = v.safeParse(failure, value)
  if (failed.success) throw faultOf(failed.output, host)
  const read = v.safeParse(success, value)
  if (!read.success || status !== 200) throw badAnswer(host, `${status} and something else than a result`)
  const { warnings } = read.output
  if (warnings.length > 0) throw new FleetError('METRICS_PARTIAL', `${host} warns: ${cut(warnings.join('; '))}`)
  return read.output.data
}

function faultOf({ errorType, error }: v.InferOutput<typeof failure>, host: string): FleetError {
  const said = `${host}: ${errorType}: ${cut(error)}`
  if (errorType === 'timeout' || errorType === 'canceled') return new FleetError('METRICS_STALLED', said)
  const ours = errorType === 'bad_data' || errorType === 'execution'
  return new FleetError(ours ? 'METRICS_BAD_QUERY' : 'METRICS_UNREACHABLE', said)
}

function numberOf(text: string, host: string): number {
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  if (text === 'NaN') return Number.NaN
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isNaN(value)) throw badAnswer(host, `${JSON.stringify(cut(text))} where a number should be`)
  return value
}

function badAnswer(host: string, what: string): FleetError {
  return new FleetError('METRICS_BAD_ANSWER', `${host} answered ${what}`)
}

function tooMany(host: string, count: number): FleetError {
  return new FleetError('METRICS_BAD_QUERY', `${host} has ${count} series for it, at most ${SERIES_MOST} are read`)
}

function cut(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

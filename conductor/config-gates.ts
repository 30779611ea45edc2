// Owns the keys of `gates` in the configuration: what each kind of gate needs, what does not fit it, and the defaults.
import * as v from 'valibot'
import { PLACEHOLDERS, unknownPlaceholders } from '#conductor/core/cohort.ts'
import type { Gate, Limit } from '#conductor/core/gates.ts'
import { GATES_MOST } from '#fleet/gate.ts'
import { name, text } from './config-kinds.ts'

const gateName = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9.-]{0,31}$/, 'must be a name of a-z, 0-9, dot and dash, at most 32'),
)
const number = v.pipe(v.number('must be a number'), v.finite('must be a number that ends'))
const positive = v.pipe(number, v.minValue(0, 'must not be negative'))
const seconds = v.pipe(positive, v.maxValue(86_400, 'must be at most 86400'))
const pause = v.pipe(seconds, v.minValue(0.1, 'must be at least 0.1'))
const count = (least: number, most: number) =>
  v.pipe(
    v.number('must be a number'),
    v.safeInteger('must be a whole number'),
    v.minValue(least, `must be at least ${least}`),
    v.maxValue(most, `must be at most ${most}`),
  )
const url = v.pipe(v.string(), v.regex(/^https?:\/\/[^/\s]+/, 'must be an address like http://127.0.0.1:9090'))
const status = count(100, 599)
const templated = v.pipe(
  text,
  v.check(
    (value) => unknownPlaceholders(value).length === 0,
    ({ input }) => {
      const known = PLACEHOLDERS.map((word) => `{{${word}}}`).join(', ')
      return `{{${unknownPlaceholders(input).join('}}, {{')}}} stands for nothing here: there are ${known}`
    },
  ),
)

const schema = v.strictObject({
  name: gateName,
  rings: v.optional(v.pipe(v.array(name), v.minLength(1, 'must name a ring'))),
  prometheus: v.optional(url),
  query: v.optional(templated),
  max: v.optional(number),
  min: v.optional(number),
  ratio: v.optional(
    v.strictObject({
      to: v.literal('old', 'must be old: the nodes that run the build before'),
      max: positive,
      atLeast: v.optional(positive, 0),
    }),
  ),
  zscore: v.optional(v.strictObject({ max: positive, over: count(3, 50), atLeast: v.optional(positive, 0) })),
  samples: v.optional(count(1, 10_000)),
  onNoData: v.optional(v.picklist(['hold', 'fail', 'pass'], 'must be hold, fail or pass')),
  http: v.optional(v.pipe(url, templated)),
  expect: v.optional(
    v.strictObject({
      status: v.optional(status),
      text: v.optional(text),
      json: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean(), v.null()]))),
      holdOn: v.optional(v.array(status)),
    }),
  ),
  headers: v.optional(v.record(v.string(), v.string())),
  command: v.optional(v.pipe(v.array(text), v.minLength(1, 'must name a program'))),
  forSeconds: v.optional(seconds, 0),
  intervalSeconds: v.optional(pause, 10),
  timeoutSeconds: v.optional(pause),
})

type Written = v.InferOutput<typeof schema>

const KINDS = ['prometheus', 'http', 'command'] as const
const LIMITS = ['max', 'min', 'ratio', 'zscore'] as const
/** Keys that belong to one kind, or to two. */
const KEYS: Readonly<Record<string, readonly (typeof KINDS)[number][]>> = {
  query: ['prometheus'],
  max: ['prometheus'],
  min: ['prometheus'],
  ratio: ['prometheus'],
  zscore: ['prometheus'],
  samples: ['prometheus'],
  onNoData: ['prometheus'],
  expect: ['http'],
  headers: ['prometheus', 'http'],
}

const has = (gate: Written, key: string): boolean => (gate as Readonly<Record<string, unknown>>)[key] !== undefined

/** What is wrong with a gate as a whole, or null. */
function unfit(gate: Written): string | null {
  const kinds = KINDS.filter((kind) => has(gate, kind))
  const [kind] = kinds
  if (kind === undefined || kinds.length > 1) return `${gate.name} must have one of ${KINDS.join(', ')}`
  const stray = Object.entries(KEYS).find(([key, owners]) => has(gate, key) && !owners.includes(kind))
  if (stray !== undefined)
    return `${gate.name}: ${stray[0]} belongs to a gate by ${stray[1].join(' or ')}, not by ${kind}`
  if (kind !== 'prometheus') return null
  if (gate.query === undefined) return `${gate.name} needs a query`
  if (LIMITS.filter((limit) => has(gate, limit)).length !== 1)
    return `${gate.name} must have one of ${LIMITS.join(', ')}`
  const apart = /\{\{\s*(build|nodes)\s*\}\}/.test(gate.query)
  // Both cohorts would be asked the same, and the ratio would always be 1.
  return gate.ratio !== undefined && !apart ? `${gate.name}: a ratio needs {{build}} or {{nodes}} in its query` : null
}

const gate = v.pipe(
  schema,
  v.check(
    (value) => unfit(value) === null,
    ({ input }) => unfit(input) ?? '',
  ),
  v.transform(gateOf),
)

export const gatesSchema = v.pipe(
  v.array(gate),
  v.maxLength(GATES_MOST, `must be at most ${GATES_MOST} gates: their verdicts share one record`),
  v.check(
    (gates) => new Set(gates.map((one) => one.name)).size === gates.length,
    'must have names of their own: two are called the same',
  ),
)

function gateOf(written: Written): Gate {
  const { rings = null, forSeconds, intervalSeconds, headers = {} } = written
  const timeoutSeconds = written.timeoutSeconds ?? (written.command === undefined ? 5 : 60)
  const times = { forMs: forSeconds * 1_000, intervalMs: intervalSeconds * 1_000, timeoutMs: timeoutSeconds * 1_000 }
  const common = { name: written.name, rings, ...times }
  if (written.command !== undefined) return { ...common, kind: 'command', argv: written.command }
  if (written.http !== undefined) {
    const { status: code = null, text: body = null, json = {}, holdOn = [] } = written.expect ?? {}
    return { ...common, kind: 'http', url: written.http, headers, expect: { status: code, text: body, json, holdOn } }
  }
  const { prometheus = '', query = '', samples = 1, onNoData = 'hold' } = written
  return { ...common, kind: 'prometheus', url: prometheus, headers, query, samples, onNoData, limit: limitOf(written) }
}

function limitOf({ max, min, ratio, zscore }: Written): Limit {
  if (ratio !== undefined) return { type: 'ratio', max: ratio.max, atLeast: ratio.atLeast }
  if (zscore !== undefined) return { type: 'zscore', ...zscore }
  if (min !== undefined) return { type: 'min', min }
  return { type: 'max', max: max ?? 0 }
}

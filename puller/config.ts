// Owns the puller's configuration: its keys, their defaults and what may stand in them.
import * as v from 'valibot'
import { NAME, type Name } from '#fleet/build.ts'
import { DEFAULT_PREFIX, RESERVED_RINGS } from '#fleet/keys.ts'
import type { DrainConfig } from './shell/drain/drain.ts'
import { DRAIN_DEFAULTS } from './shell/drain/drain.ts'
import type { Hook } from './shell/hooks.ts'

const name = v.pipe(
  v.string(),
  v.regex(NAME, 'must be a name of a-z, 0-9, dot and dash, at most 63 characters'),
  v.transform((text) => text as Name),
)
const seconds = v.pipe(v.number(), v.minValue(0, 'must not be negative'), v.maxValue(86_400, 'must be at most a day'))
const positive = v.pipe(v.number(), v.gtValue(0, 'must be above 0'), v.finite('must be a number that ends'))
// A timer of more than 24.8 days fires at once (failures G9).
const limit = v.pipe(positive, v.maxValue(86_400, 'must be at most a day'))
const pauseMs = v.pipe(positive, v.maxValue(86_400_000, 'must be at most a day'))
const count = v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(0, 'must not be negative'))
const path = v.pipe(v.string(), v.startsWith('/', 'must be an absolute path'))
const url = v.pipe(v.string(), v.url('must be a URL'))
const argv = v.pipe(v.array(v.string()), v.minLength(1, 'must name a program'))
const pattern = v.pipe(
  v.string(),
  v.check((text) => isPattern(text), 'must be a regular expression'),
)

function isPattern(text: string): boolean {
  try {
    new RegExp(text)
    return true
  } catch {
    return false
  }
}

/** A hook is an argv, or one with its own time limit. */
const hook = v.pipe(
  v.union([argv, v.strictObject({ argv, timeoutSeconds: v.optional(limit, 60) })]),
  v.transform((written): Hook => ('argv' in written ? written : { argv: written, timeoutSeconds: 60 })),
)

const drainCommon = {
  timeoutSeconds: v.optional(seconds, DRAIN_DEFAULTS.timeoutSeconds),
  intervalMs: v.optional(pauseMs, DRAIN_DEFAULTS.intervalMs),
  onTimeout: v.optional(v.picklist(['abort', 'proceed']), DRAIN_DEFAULTS.onTimeout),
  maintenance: v.optional(v.strictObject({ service: v.string() })),
  propagationSeconds: v.optional(seconds, DRAIN_DEFAULTS.propagationSeconds),
}
const headers = v.optional(v.record(v.string(), v.string()))
const drain = v.variant('kind', [
  v.strictObject({ kind: v.literal('none'), ...drainCommon }),
  v.strictObject({ kind: v.literal('http'), url, headers, ...drainCommon }),
  v.strictObject({ kind: v.literal('command'), argv, ...drainCommon }),
  v.strictObject({ kind: v.literal('leases'), dir: v.string(), ...drainCommon }),
  v.strictObject({
    kind: v.literal('processes'),
    match: v.optional(
      v.strictObject({ exe: v.optional(pattern), cmdline: v.optional(pattern), user: v.optional(v.string()) }),
      {},
    ),
    ...drainCommon,
  }),
])
const NO_DRAIN: DrainConfig = { kind: 'none', ...DRAIN_DEFAULTS }

const verify = v.strictObject({
  http: v.optional(url),
  command: v.optional(hook),
  headers,
  healthySeconds: v.optional(seconds, 5),
  timeoutSeconds: v.optional(limit, 60),
  intervalMs: v.optional(pauseMs, 500),
  identity: v.optional(
    v.union([
      v.strictObject({ header: v.string() }),
      v.strictObject({ json: v.string() }),
      v.strictObject({ body: v.literal(true) }),
      v.literal('off'),
    ]),
    { header: 'x-hotcold-build' },
  ),
})

const consul = v.strictObject({
  url: v.optional(url, 'http://127.0.0.1:8500'),
  token: v.optional(v.string()),
  tokenFile: v.optional(path),
  ca: v.optional(v.string()),
  cert: v.optional(v.string()),
  key: v.optional(v.string()),
})

const coldInUse = v.pipe(
  v.union([v.literal('refuse'), v.strictObject({ assumeAfterSeconds: seconds })]),
  v.transform((written) =>
    written === 'refuse'
      ? ({ policy: 'refuse', seconds: 0 } as const)
      : ({ policy: 'assumeAfterSeconds', seconds: written.assumeAfterSeconds } as const),
  ),
)

/** `puller.yaml`. What is left out has the default that stands here. */
export const pullerSchema = v.strictObject({
  app: name,
  ring: v.pipe(
    name,
    v.check((ring) => !RESERVED_RINGS.includes(ring), 'is a word that the app itself uses'),
  ),
  node: name,
  root: path,
  prefix: v.optional(v.pipe(v.string(), v.regex(/^[^/].*[^/]$/, 'must not begin or end with a slash')), DEFAULT_PREFIX),
  consul: v.optional(consul, {}),
  store: v.strictObject({
    url: v.string(),
    endpoint: v.optional(url),
    region: v.optional(v.string()),
    pathStyle: v.optional(v.boolean()),
  }),
  drain: v.optional(drain, NO_DRAIN),
  hooks: v.optional(
    v.strictObject({
      assets: v.optional(hook),
      beforeDrain: v.optional(hook),
      afterSwap: v.optional(hook),
      afterVerify: v.optional(hook),
    }),
    {},
  ),
  verify: v.optional(verify),
  metrics: v.optional(
    v.strictObject({
      listen: v.pipe(v.string(), v.regex(/^(\[[0-9a-f:]+\]|[^:]+):\d{1,5}$/i, 'must be address:port')),
    }),
  ),
  log: v.optional(
    v.strictObject({ level: v.optional(v.picklist(['debug', 'info', 'warn', 'error', 'silent']), 'info') }),
    {},
  ),
  owner: v.optional(v.strictObject({ uid: count, gid: count })),
  coldInUse: v.optional(coldInUse, 'refuse'),
  coldQuietSeconds: v.optional(seconds, 30),
  repairSeconds: v.optional(seconds, 5),
  bareWaveSeconds: v.optional(seconds, 10),
  minSecondsBetweenBareSwaps: v.optional(seconds, 0),
  fetch: v.optional(
    v.strictObject({
      spreadSeconds: v.optional(seconds, 10),
      maxBytesPerSecond: v.optional(v.nullable(positive), null),
      minBytesPerSecond: v.optional(count, 32 * 1024),
      stallSeconds: v.optional(limit, 30),
    }),
    {},
  ),
  rearm: v.optional(
    v.strictObject({ delaySeconds: v.optional(seconds, 60), spreadSeconds: v.optional(seconds, 60) }),
    {},
  ),
})

export type PullerConfig = v.InferOutput<typeof pullerSchema>

/** Leaves out what is not set, for callees that know "absent" and not "undefined". */
export function defined<fields extends object>(
  fields: fields,
): { [key in keyof fields]: Exclude<fields[key], undefined> } {
  const set = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(set) as { [key in keyof fields]: Exclude<fields[key], undefined> }
}

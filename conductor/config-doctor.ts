// Owns what `conduct doctor` takes from a config that may have mistakes: each key that is in order, and nothing of the others.
import * as v from 'valibot'
import { conductSchema, configuredRings } from './config.ts'

const { entries } = conductSchema

/** A key that is not in order counts as left out; its mistake is told by who reads the config in earnest. */
function kept<schema extends v.GenericSchema>(schema: schema) {
  return v.fallback(v.optional(schema), undefined)
}

const text = kept(v.string())
const flag = kept(v.boolean())

const consul = v.fallback(
  v.optional(
    v.object({
      url: kept(v.pipe(v.string(), v.regex(/^https?:\/\/[^/]+/))),
      token: text,
      tokenFile: text,
      prefix: text,
      ca: text,
      cert: text,
      key: text,
    }),
    {},
  ),
  {},
)
const store = kept(v.object({ url: v.string(), endpoint: text, region: text, pathStyle: flag }))

export const conductKept = v.object({
  app: kept(entries.app),
  consul,
  store,
  plan: kept(entries.plan),
  rings: kept(entries.rings),
  gates: v.fallback(entries.gates, []),
  schedule: kept(entries.schedule),
  afterRollout: kept(entries.afterRollout),
})

export type ConductKept = v.InferOutput<typeof conductKept>

/** The rings that it names; null when it names none. */
export function keptRings({ plan, rings }: ConductKept) {
  return configuredRings({ plan, rings } as Parameters<typeof configuredRings>[0])
}

/** An argv, or `{ argv, timeoutSeconds }`. */
const argv = kept(
  v.union([
    v.array(v.string()),
    v.pipe(
      v.object({ argv: v.array(v.string()) }),
      v.transform((one) => one.argv),
    ),
  ]),
)

/** Of a puller's configuration what can be looked at from outside; the puller itself says whether it is in order. */
export const pullerKept = v.object({
  app: text,
  ring: text,
  node: text,
  root: text,
  prefix: text,
  consul,
  store,
  hooks: kept(v.object({ assets: argv, beforeDrain: argv, afterSwap: argv, afterVerify: argv })),
  drain: kept(v.object({ argv })),
  verify: kept(v.object({ command: argv })),
})

export type PullerKept = v.InferOutput<typeof pullerKept>

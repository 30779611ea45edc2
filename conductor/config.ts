// Owns the configuration of `conduct`: its keys, their defaults, and how percentages and durations are written.
import * as v from 'valibot'
import { NAME, type Name } from '#fleet/build.ts'
import { RESERVED_RINGS } from '#fleet/keys.ts'

const text = v.pipe(v.string(), v.minLength(1, 'must not be empty'))
const name = v.pipe(
  v.string(),
  v.regex(NAME, 'must be a name of a-z, 0-9, dot and dash'),
  v.transform((value) => value as Name),
)
const ring = v.pipe(
  name,
  v.check((value) => !RESERVED_RINGS.includes(value), 'is a key of the app itself: choose another name for the ring'),
)
const seconds = v.pipe(v.number(), v.minValue(0, 'must not be negative'), v.finite('must be a number that ends'))

/** `33%`, or the bare number 33. */
const percent = v.union([
  v.pipe(v.number(), v.minValue(0, 'must be 0% to 100%'), v.maxValue(100, 'must be 0% to 100%')),
  v.pipe(
    v.string(),
    v.regex(/^\d{1,3}(\.\d+)?%$/, 'must be a percentage like 33%'),
    v.transform((value) => Number(value.slice(0, -1))),
    v.maxValue(100, 'must be 0% to 100%'),
  ),
])

const argv = v.array(text)

const step = v.strictObject({
  ring,
  smoke: v.optional(argv),
  soakSeconds: v.optional(seconds),
  shares: v.optional(v.array(percent)),
})

export const conductSchema = v.strictObject({
  app: v.optional(name),
  consul: v.optional(
    v.strictObject({
      url: v.optional(text, 'http://127.0.0.1:8500'),
      token: v.optional(text),
      tokenFile: v.optional(text),
      prefix: v.optional(text),
      ca: v.optional(text),
      cert: v.optional(text),
      key: v.optional(text),
    }),
    {},
  ),
  store: v.optional(
    v.strictObject({
      url: text,
      endpoint: v.optional(text),
      region: v.optional(text),
      pathStyle: v.optional(v.boolean()),
    }),
  ),
  /** Rings in the order in which a release visits them. */
  plan: v.optional(v.pipe(v.array(step), v.minLength(1, 'must name a ring'))),
  /** Short for a plan of rings without more. */
  rings: v.optional(v.pipe(v.array(ring), v.minLength(1, 'must name a ring'))),
  maxUnavailable: v.optional(percent, '33%'),
  failureBudget: v.optional(percent, '10%'),
  waveSeconds: v.optional(seconds, 60),
  gates: v.optional(v.array(v.looseObject({ name: text }))),
  schedule: v.optional(text),
  /** Checks that a build must have passed before it is released. */
  checks: v.optional(v.strictObject({ required: v.optional(v.array(text), []) })),
  /** A git checkout that knows the commits of the builds: asked whether one contains another. */
  lineage: v.optional(v.strictObject({ checkout: text })),
  /** Pages about what `conduct` shows: `compare` with {{from}} and {{to}} for two commits. */
  links: v.optional(v.strictObject({ compare: v.optional(text) })),
  /** Argv that is run when a rollout has ended, with its outcome in the environment. */
  afterRollout: v.optional(v.pipe(argv, v.minLength(1, 'must name a command'))),
  afterRolloutSeconds: v.optional(seconds, 60),
})

export type ConductConfig = v.InferOutput<typeof conductSchema>

/** What the config says of evidence: what a release asks for, and what is done with how it ended. */
export interface EvidenceSettings {
  readonly required: readonly string[]
  readonly checkout: string | null
  /** Template of a link. */
  readonly compare: string | null
  readonly afterRollout: { readonly argv: readonly string[]; readonly timeoutMs: number } | null
}

export function evidenceSettings(config: ConductConfig): EvidenceSettings {
  const { checks, lineage, links, afterRollout, afterRolloutSeconds } = config
  return {
    required: checks?.required ?? [],
    checkout: lineage?.checkout ?? null,
    compare: links?.compare ?? null,
    afterRollout: afterRollout === undefined ? null : { argv: afterRollout, timeoutMs: afterRolloutSeconds * 1_000 },
  }
}

/** Rings that are looked for when nothing names any: the customary path of a build. */
export const CUSTOMARY_RINGS = ['staging', 'dogfood', 'canary', 'production'] as readonly string[] as readonly Name[]

/** The rings that a config names, in order; null when it names none. */
export function configuredRings({ plan, rings }: ConductConfig): readonly Name[] | null {
  if (plan !== undefined) return [...new Set(plan.map((entry) => entry.ring))]
  return rings === undefined ? null : [...new Set(rings)]
}

/** Keys of the plan that this version reads but does not act on yet: a person must not believe that they protect. */
export function unheeded(config: ConductConfig): readonly string[] {
  const plan = config.plan ?? []
  const keys = [
    plan.some(({ shares }) => shares !== undefined) && 'shares',
    plan.some(({ soakSeconds }) => soakSeconds !== undefined) && 'soakSeconds',
    plan.some(({ smoke }) => smoke !== undefined) && 'smoke',
    config.gates !== undefined && 'gates',
    config.schedule !== undefined && 'schedule',
  ]
  return keys.filter((key) => key !== false)
}

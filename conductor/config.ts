// Owns the configuration of `conduct`: its keys, their defaults, and how percentages and durations are written.
import * as v from 'valibot'
import type { Name } from '#fleet/build.ts'
import { RESERVED_RINGS } from '#fleet/keys.ts'
import { gatesSchema } from './config-gates.ts'
import { name, text } from './config-kinds.ts'

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

const share = v.pipe(percent, v.minValue(0.001, 'must be above 0%'))
const rising = (shares: readonly number[]): boolean =>
  shares.every((value, i) => i === 0 || value > (shares[i - 1] ?? 0))

/** What is asked of a ring; `conductor/core/route.ts` makes stages of it. */
const step = v.strictObject({
  ring,
  shares: v.optional(
    v.pipe(
      v.array(share),
      v.minLength(1, 'must name a share'),
      v.check((shares: number[]) => rising(shares), 'must rise from share to share'),
    ),
  ),
  soakSeconds: v.optional(seconds),
  smoke: v.optional(v.pipe(argv, v.minLength(1, 'must name a command'))),
  smokeSeconds: v.optional(v.pipe(seconds, v.minValue(1, 'must be at least 1'))),
  gates: v.optional(v.array(text)),
  approval: v.optional(v.picklist(['auto', 'manual'])),
  prestage: v.optional(v.picklist(['previous', 'start'])),
  barrier: v.optional(v.boolean()),
  progressSeconds: v.optional(seconds),
  silentNodes: v.optional(v.picklist(['wait', 'proceed'])),
  silentSeconds: v.optional(seconds),
  /** Every build goes there when it is published, whatever the calendar says. */
  autoRelease: v.optional(v.boolean()),
  maxUnavailable: v.optional(percent),
  failureBudget: v.optional(percent),
})
type Step = v.InferOutput<typeof step>

/** A ring may come more than once, with shares that rise all along; and every ring must come to the whole of itself, or nothing could follow. */
function comesToAll(steps: readonly Step[]): boolean {
  const rings = Map.groupBy(steps, (one) => one.ring)
  return [...rings.values()].every((own) => {
    const shares = own.flatMap((one) => one.shares ?? [100])
    return rising(shares) && shares.at(-1) === 100
  })
}

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
  plan: v.optional(
    v.pipe(
      v.array(step),
      v.minLength(1, 'must name a ring'),
      v.check((steps: Step[]) => comesToAll(steps), 'must bring every ring to 100%, by shares that rise'),
    ),
  ),
  /** Short for a plan of rings without more. */
  rings: v.optional(v.pipe(v.array(ring), v.minLength(1, 'must name a ring'))),
  maxUnavailable: v.optional(percent, '33%'),
  failureBudget: v.optional(percent, '10%'),
  waveSeconds: v.optional(seconds, 60),
  /** The time that a rollout has: a plan that takes longer by itself is refused. */
  slotMinutes: v.optional(v.pipe(seconds, v.minValue(1, 'must be at least 1')), 40),
  gates: v.optional(gatesSchema, []),
  /** The file of the calendar, looked for beside this one. */
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
  /** Where `conduct serve` answers, and the names by which it may be called beside localhost and addresses. */
  serve: v.optional(
    v.strictObject({ listen: v.optional(text, '127.0.0.1:9470'), hosts: v.optional(v.array(text), []) }),
    {},
  ),
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

// Owns the shape of every Consul record, field by field: what must be there, and what an older writer may have left out.
import * as v from 'valibot'
import { BUILD_ID, type BuildId, DIGEST, type Digest, NAME, type Name } from './build.ts'
import { PHASES } from './node-status.ts'
import { ROLLOUT_PHASES } from './rollout.ts'
import { SLOT_NAME } from './slot.ts'
import { ALL } from './target.ts'
import { gateMark } from './wire-gates.ts'

/** Version of every record that this program writes and the highest that it reads. */
export const WIRE_VERSION = 1

// Branded strings: the check is the brand.
const buildId = v.pipe(
  v.string(),
  v.regex(BUILD_ID, 'must be a build id'),
  v.check((text) => !text.includes('..'), 'must not contain ".."'),
  v.transform((text) => text as BuildId),
)
const digest = v.pipe(
  v.string(),
  v.regex(DIGEST, 'must be sha256: and 64 hexadecimal digits'),
  v.transform((text) => text as Digest),
)
const name = v.pipe(
  v.string(),
  v.regex(NAME, 'must be a name of a-z, 0-9, dot and dash'),
  v.transform((text) => text as Name),
)
const count = v.pipe(v.number(), v.safeInteger('must be a whole number'), v.minValue(0, 'must not be negative'))
const line = v.pipe(v.string(), v.maxLength(2_000, 'must be at most 2000 characters'))
const version = v.literal(WIRE_VERSION)

export const targetSchema = v.object({
  v: version,
  app: name,
  ring: name,
  generation: count,
  build: v.nullable(buildId),
  manifest: v.optional(v.nullable(digest), null),
  fallback: v.optional(v.nullable(buildId), null),
  fallbackManifest: v.optional(v.nullable(digest), null),
  cutoff: v.pipe(count, v.maxValue(ALL, 'must be at most 4294967296')),
  salt: v.optional(line, ''),
  rollout: v.optional(line, ''),
  by: v.optional(line, ''),
  reason: v.optional(line, ''),
  at: v.optional(line, ''),
  recall: v.optional(v.boolean(), false),
  attempt: v.optional(v.pipe(count, v.minValue(1, 'must be at least 1')), 1),
  activation: v.optional(v.nullable(line), null),
})

export const statusSchema = v.object({
  v: version,
  app: name,
  ring: name,
  node: name,
  phase: v.picklist(PHASES),
  hot: v.nullable(buildId),
  cold: v.nullable(buildId),
  armed: v.optional(v.boolean(), false),
  generation: v.pipe(v.number(), v.safeInteger(), v.minValue(-1)),
  rollout: v.optional(v.nullable(line), null),
  attempt: v.optional(count, 1),
  refusal: v.optional(v.nullable(v.object({ build: buildId, code: line, message: line })), null),
  at: line,
  troubles: v.optional(v.array(v.object({ code: line, message: line })), []),
  progress: v.optional(v.nullable(v.object({ doneBytes: count, totalBytes: count })), null),
})

export const artifactSchema = v.object({ digest, bytes: count })

export const catalogSchema = v.object({
  v: version,
  app: name,
  build: buildId,
  commit: v.nullable(line),
  createdAt: line,
  by: line,
  manifest: digest,
  treeDigest: digest,
  artifact: artifactSchema,
  checks: v.optional(v.record(v.string(), line), {}),
  checkedBy: v.optional(v.record(v.string(), v.object({ by: line, at: line, reason: line }))),
  contains: v.optional(v.array(line)),
  good: v.optional(v.record(v.string(), line), {}),
  quarantine: v.optional(v.nullable(v.object({ by: line, reason: line, at: line })), null),
})

const buildRef = v.object({ build: buildId, manifest: digest })
const ringMark = v.object({
  began: count,
  salt: line,
  peak: v.pipe(count, v.maxValue(ALL)),
  recalled: v.nullable(count),
  closed: v.nullable(count),
  prior: v.nullable(buildRef),
})

const seconds = v.pipe(v.number(), v.finite(), v.minValue(0))
const stageSchema = v.object({
  ring: name,
  share: v.pipe(v.number(), v.minValue(0), v.maxValue(100)),
  soakSeconds: v.exactOptional(seconds),
  smoke: v.exactOptional(v.array(line)),
  smokeSeconds: v.exactOptional(seconds),
  gates: v.exactOptional(v.array(line)),
  approval: v.exactOptional(v.literal('manual')),
  barrier: v.exactOptional(v.boolean()),
  progressSeconds: v.exactOptional(seconds),
  silentSeconds: v.exactOptional(seconds),
})
const progressSchema = v.object({
  begunAt: line,
  movedAt: v.nullable(line),
  convergedAt: v.nullable(line),
  smoke: v.nullable(v.object({ passed: v.boolean(), message: line })),
  silentAt: v.exactOptional(line),
})

export const rolloutSchema = v.object({
  v: version,
  app: name,
  id: line,
  build: buildId,
  manifest: digest,
  by: line,
  reason: line,
  startedAt: line,
  endedAt: v.nullable(line),
  phase: v.picklist(ROLLOUT_PHASES),
  stages: v.array(stageSchema),
  stage: count,
  fallbacks: v.record(v.string(), v.nullable(buildRef)),
  hold: v.nullable(v.object({ by: line, code: line, reason: line, at: line })),
  outcome: v.nullable(line),
  generations: v.record(v.string(), count),
  marks: v.optional(v.record(v.string(), ringMark), {}),
  cause: v.optional(v.nullable(line), null),
  attempt: v.optional(v.pipe(count, v.minValue(1)), 1),
  activation: v.optional(v.nullable(line), null),
  adopt: v.optional(v.boolean(), false),
  there: v.optional(v.array(line), []),
  progress: v.optional(v.nullable(progressSchema), null),
  promoted: v.optional(v.nullable(count), null),
  prestage: v.optional(v.record(v.string(), v.picklist(['previous', 'start'])), {}),
  waivers: v.optional(
    v.array(v.object({ node: name, by: line, reason: line, at: line, policy: v.exactOptional(v.boolean()) })),
    [],
  ),
  commander: v.optional(v.nullable(line), null),
  back: v.optional(v.boolean(), false),
  verdicts: v.optional(v.array(gateMark), []),
  orders: v.optional(v.record(v.string(), digest), {}),
  forced: v.optional(v.array(line), []),
  supersedes: v.optional(v.nullable(line), null),
  afterRollout: v.optional(v.boolean(), false),
})

export const leaseSchema = v.object({
  v: version,
  holder: line,
  since: line,
  rollout: v.nullable(line),
  build: v.optional(v.nullable(line), null),
  reason: line,
  serves: v.exactOptional(v.boolean()),
})
export const lineSchema = v.object({
  v: version,
  holds: v.array(
    v.object({ ring: v.nullable(name), by: line, reason: line, at: line, expires: v.optional(v.nullable(line), null) }),
  ),
})
export const pinSchema = v.object({ v: version, by: line, reason: line, expires: v.optional(v.nullable(line), null) })
export const requestSchema = v.object({
  v: version,
  id: line,
  verb: line,
  args: v.record(v.string(), v.unknown()),
  by: line,
  expires: line,
  generations: v.record(v.string(), count),
})
export const slotSchema = v.object({
  v: version,
  app: name,
  slot: v.pipe(line, v.regex(SLOT_NAME, 'must be an instant like 2026-11-22T17:00:00Z')),
  outcome: v.picklist(['fired', 'skipped']),
  code: line,
  reason: line,
  build: v.nullable(buildId),
  rollout: v.nullable(line),
  commander: v.optional(v.nullable(line), null),
  by: line,
  at: line,
  timezone: v.optional(line, 'UTC'),
  zoneTables: v.optional(v.nullable(line), null),
})
export const historySchema = v.object({
  v: version,
  seq: count,
  prev: v.string(),
  at: line,
  by: line,
  event: line,
  facts: v.record(v.string(), v.unknown()),
})

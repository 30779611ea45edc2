// Owns hostile sequences of orders: what a key may show one after the other, given to the real admission, and what may come of it.
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import type { FeedEvent, TargetReading } from '#fleet/ports.ts'
import { type Ratchet, wants } from '#fleet/target.ts'
import type { Order } from '#puller/core/state.ts'
import { type Accepted, decodeAccepted, NOTHING_ACCEPTED } from '#puller/shell/accepted.ts'
import { openAdmission } from '#puller/shell/admission.ts'
import { type FieldLie, fieldLieArb, liedRecord, TARGET } from './record-lies.ts'
import { QUIET } from './small-state.ts'
import { type ByteLie, byteLieArb } from './text.ts'

interface Shown {
  readonly value: 'record' | 'bare' | 'absent' | 'garbage'
  readonly generation: number
  readonly build: string
  readonly cutoff: number
  readonly app: string
  readonly ring: string
  readonly bare: string
  readonly modifyIndex: number
  readonly stale: boolean
  readonly fields: readonly FieldLie[]
  readonly bytes: readonly ByteLie[]
}

export interface OrderCase {
  /** What the watch shows, and what the leader would say if it were asked at that moment. */
  readonly steps: readonly { readonly shown: Shown; readonly truth: Shown }[]
}

const mostly = <value>(honest: value, ...others: value[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(honest) }, { weight: 1, arbitrary: fc.constantFrom(...others) })
const BARE = [
  'b1',
  'b2',
  'b3@60',
  'b3@5',
  'b1@999999999999999',
  'b2@9007199254740993',
  ' b4\n',
  '\ufeffb4',
  'b..1',
  'b1@',
  'b1@-1',
  'b1@1@2',
  'null',
  '1',
  'web/production',
  'b5@0057',
]

const shown: fc.Arbitrary<Shown> = fc.record({
  value: fc.constantFrom('record', 'record', 'record', 'record', 'bare', 'bare', 'absent', 'garbage'),
  generation: fc.oneof(fc.integer({ min: 50, max: 64 }), fc.constantFrom(0, -1, 1.5, 2 ** 53, Number.MAX_SAFE_INTEGER)),
  build: fc.constantFrom('b1', 'b2', 'b3'),
  cutoff: fc.constantFrom(0, 1, 2_147_483_648, 4_294_967_296),
  app: mostly('web', 'shop', 'Web', 'web '),
  ring: mostly('production', 'staging', 'production.', ''),
  bare: fc.constantFrom(...BARE),
  modifyIndex: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constantFrom(0, Number.MAX_SAFE_INTEGER)),
  stale: fc.boolean(),
  fields: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fieldLieArb, { maxLength: 1 }) },
  ),
  bytes: fc.oneof(
    { weight: 6, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(byteLieArb, { maxLength: 1 }) },
  ),
})

export const orderCaseArb: fc.Arbitrary<OrderCase> = fc.record({
  steps: fc.array(fc.record({ shown, truth: shown }), { minLength: 1, maxLength: 10 }),
})

function reading(it: Shown, stale: boolean): TargetReading {
  if (it.value === 'absent') return { kind: 'absent', stale }
  const { generation, build, cutoff, app, ring, modifyIndex } = it
  const record = liedRecord({ ...TARGET, generation, build, cutoff, app, ring }, it.fields, it.bytes)
  const bytes = { record, bare: Buffer.from(it.bare), garbage: Buffer.from('<html>no</html>') }[it.value]
  return { kind: 'value', raw: bytes, modifyIndex, stale }
}

const HERE = { app: 'web' as Name, ring: 'production' as Name, node: 'n-1' as Name }
const DIGEST = `sha256:${'cd'.repeat(32)}` as Digest

/** Whether this very reading may have moved a node from one ratchet to another: written here without any of the code that decides it. */
function justifies(of: TargetReading, before: Ratchet, after: Ratchet, order: Order): boolean {
  if (of.kind === 'absent' || after.modifyIndex !== of.modifyIndex) return false
  const text = Buffer.from(of.raw).toString('utf8')
  if (order.bare) {
    const match = /^\s*([A-Za-z0-9][A-Za-z0-9._-]{0,127})(?:@(\d{1,15}))?\s*$/u.exec(text)
    if (match === null || match[1] !== order.target.build || of.stale) return false
    const generation = match[2] === undefined ? Math.max(0, before.generation) : Number(match[2])
    const later = generation > before.generation || of.modifyIndex > before.modifyIndex
    return generation >= before.generation && after.generation === generation && later
  }
  try {
    const said = JSON.parse(text) as Record<string, unknown>
    const { target } = order
    const same = ['app', 'ring', 'generation', 'build', 'cutoff'].every(
      (key) => said[key] === target[key as keyof typeof target],
    )
    return (
      said.v === 1 && same && said.app === 'web' && said.ring === 'production' && target.generation > before.generation
    )
  } catch {
    return false
  }
}

/** @returns what became of each reading */
export async function checkOrders({ steps }: OrderCase): Promise<readonly string[]> {
  let saved: unknown = null
  let accepted: Accepted = NOTHING_ACCEPTED
  let hot: BuildId | null = null
  const verdicts: string[] = []
  let truth: TargetReading = { kind: 'absent', stale: false }
  const over = new AbortController()

  function look(of: TargetReading): void {
    const now = admission.accepted()
    if (now.ratchet !== accepted.ratchet || now.order !== accepted.order) {
      assert.ok(now.order !== null)
      const why = [of, truth].some((one) => justifies(one, accepted.ratchet, now.ratchet, now.order as Order))
      assert.ok(
        why,
        `nothing that was shown allows ${JSON.stringify(now.order.target)} after ${JSON.stringify(accepted.ratchet)}`,
      )
      assert.ok(now.ratchet.generation >= accepted.ratchet.generation, 'the ratchet never falls')
      assert.deepEqual(decodeAccepted(saved, HERE).ratchet, now.ratchet, 'and is on disk before it counts')
      hot = wants(now.order.target, now.order.place, hot).hot ?? hot
      accepted = now
      verdicts.push('accepted, as ordered')
    } else verdicts.push(admission.troubles()[0]?.code ?? 'known already')
    assert.equal(
      orders.at(-1)?.target ?? null,
      now.order?.target ?? null,
      'the machine is given what was accepted and nothing else',
    )
  }

  async function* watch(): AsyncGenerator<FeedEvent> {
    for (const step of steps) {
      const of = reading(step.shown, step.shown.stale)
      truth = reading(step.truth, false)
      yield { type: 'reading', reading: of }
      // Everything that admission asks here answers at once: a turn of the loop later it has settled, or sleeps.
      await new Promise(setImmediate)
      look(of)
    }
    over.abort()
  }

  const orders: Order[] = []
  const admission = openAdmission(accepted, HERE, {
    feed: { watch, read: async () => truth },
    catalog: { find: async (build) => (build === 'b4' ? null : catalogEntry(build)) },
    trees: { knows: async () => null },
    ratchet: {
      load: async () => saved,
      save: async (value) => {
        saved = JSON.parse(JSON.stringify(value))
      },
    },
    clock: { now: () => 0, monotonic: () => 0, random: () => 0, sleep: (_ms, signal) => aborted(signal) },
    log: QUIET,
    running: () => hot,
  })
  await admission.run(
    over.signal,
    (order) => void orders.push(order),
    () => undefined,
  )
  return verdicts
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((_resolve, reject) =>
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true }),
  )
}

function catalogEntry(build: BuildId) {
  const artifact = { digest: DIGEST, bytes: 1 }
  const entry = {
    app: HERE.app,
    build,
    commit: null,
    createdAt: '',
    by: '',
    manifest: DIGEST,
    treeDigest: DIGEST,
    artifact,
    checks: {},
    good: {},
    quarantine: null,
  }
  return { entry, index: 1 }
}

// Owns the proof of the wire: what is believed of the bytes of a record, and with which code the rest is refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SLACK, stagesOf } from '#conductor/core/route.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { PHASES } from '#fleet/node-status.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { readOrder, readRollout, readStatus, readTarget, writeRollout, writeStatus, writeTarget } from '#fleet/wire.ts'
import { fc } from '#test/support/properties.ts'

const here = { app: 'web', ring: 'production' }
const digest = `sha256:${'ab'.repeat(32)}`
/** The example of the contract, design section 6, to the letter. */
const EXAMPLE = {
  v: 1,
  app: 'web',
  ring: 'production',
  generation: 57,
  build: '20261122T160412-3f2a9c1',
  manifest: digest,
  fallback: '20261122T144001-9be01d2',
  fallbackManifest: digest,
  cutoff: 1073741824,
  salt: 'r-20261122-07',
  rollout: 'r-20261122-07',
  by: 'ana',
  reason: 'scheduled 16:00',
  at: '2026-11-22T16:04:30.120Z',
}
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof FleetError, `not one of ours: ${error}`)
    return error.code
  }
  return 'accepted'
}

test('the record of the contract is read, with its documented defaults', () => {
  const order = readOrder(bytes(EXAMPLE), here)
  assert.ok(order.kind === 'record')
  assert.equal(order.target.generation, 57)
  assert.deepEqual([order.target.recall, order.target.attempt, order.target.activation], [false, 1, null])
})

test('A10: garbage, foreign, newer and half-filled records are each refused with their own code', () => {
  const cases: [string, unknown][] = [
    ['TARGET_EMPTY', ''],
    ['TARGET_EMPTY', ' \n'],
    ['TARGET_INVALID', '<html>'],
    ['TARGET_INVALID', '{"v":1'],
    ['TARGET_INVALID', '[]'],
    ['TARGET_INVALID', { ...EXAMPLE, generation: -1 }],
    ['TARGET_INVALID', { ...EXAMPLE, generation: 1.5 }],
    ['TARGET_INVALID', { ...EXAMPLE, generation: '57' }],
    ['TARGET_INVALID', { ...EXAMPLE, cutoff: ALL + 1 }],
    ['TARGET_INVALID', { ...EXAMPLE, build: '../../etc' }],
    ['TARGET_INVALID', { ...EXAMPLE, manifest: null }],
    ['TARGET_INVALID', { ...EXAMPLE, fallbackManifest: null }],
    ['TARGET_INVALID', { ...EXAMPLE, reason: 'x'.repeat(9_000) }],
    ['TARGET_TOO_NEW', { ...EXAMPLE, v: 2 }],
    ['TARGET_FOREIGN', { ...EXAMPLE, app: 'api' }],
    ['TARGET_FOREIGN', { ...EXAMPLE, ring: 'staging' }],
  ]
  for (const [code, value] of cases)
    assert.equal(
      codeOf(() => readOrder(bytes(value), here)),
      code,
      JSON.stringify(value),
    )
  assert.equal(
    codeOf(() => readTarget(new Uint8Array([0xff, 0xfe, 0x7b]), here)),
    'TARGET_INVALID',
  )
})

test('a reader ignores fields it does not know and keeps nothing of them', () => {
  assert.deepEqual(readTarget(bytes({ ...EXAMPLE, note: 'later' }), here), readTarget(bytes(EXAMPLE), here))
})

test('A10: no bytes whatever make the reader do anything but accept a record of here or refuse with a code', () => {
  const mutated = fc
    .tuple(fc.constantFrom(...Object.keys(EXAMPLE)), fc.anything())
    .map(([key, value]) => ({ ...EXAMPLE, [key]: value }))
  const raw = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map(bytes),
    mutated.map((record) => bytes(JSON.stringify(record) ?? '')),
  )
  fc.assert(
    fc.property(raw, (value) => {
      const code = codeOf(() => {
        const order = readOrder(value, here)
        if (order.kind === 'record') assert.equal(`${order.target.app}/${order.target.ring}`, 'web/production')
      })
      assert.match(code, /^(accepted|TARGET_(EMPTY|INVALID|TOO_NEW|FOREIGN))$/)
    }),
    { numRuns: 2_000 },
  )
})

test('what is written is read back the same, targets and statuses alike', () => {
  const build = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,20}$/).map((text) => text as BuildId)
  const targets = fc.record({
    app: fc.constant('web' as Name),
    ring: fc.constant('production' as Name),
    generation: fc.nat(),
    build,
    manifest: fc.constant(digest as Digest),
    fallback: build,
    fallbackManifest: fc.constant(digest as Digest),
    cutoff: fc.integer({ min: 0, max: ALL }),
    salt: fc.string({ maxLength: 40 }),
    rollout: fc.string({ maxLength: 40 }),
    by: fc.string({ maxLength: 40 }),
    reason: fc.string({ maxLength: 40 }),
    at: fc.string({ maxLength: 40 }),
    recall: fc.boolean(),
    attempt: fc.integer({ min: 1, max: 9 }),
    activation: fc.option(fc.string({ maxLength: 9 })),
  })
  fc.assert(
    fc.property(targets, (target: Target) => assert.deepEqual(readTarget(writeTarget(target), here), { ...target })),
  )
  fc.assert(
    fc.property(build, fc.constantFrom(...PHASES), fc.nat(), (hot, phase, generation) => {
      const status = {
        ...{
          app: 'web' as Name,
          ring: 'production' as Name,
          node: 'n1' as Name,
          phase,
          hot,
          cold: null,
          armed: false,
          generation,
        },
        ...{
          rollout: 'r',
          attempt: 1,
          refusal: { build: hot, code: 'VERIFY_FAILED', message: 'no' },
          at: '',
          progress: null,
        },
        troubles: [{ code: 'COLD_BUSY', message: 'pid 7' }],
      }
      assert.deepEqual(readStatus(writeStatus(status)), status)
    }),
  )
})

test('A20: a record that would not fit is refused before it is sent', () => {
  const target = readTarget(bytes(EXAMPLE), here)
  assert.equal(
    codeOf(() => writeTarget({ ...target, reason: 'x'.repeat(9_000) })),
    'CONSUL_TOO_LARGE',
  )
})

test('a rollout with a share that has no end, or is no share, is rejected: it could not be written again', () => {
  const ref = { build: 'b1', manifest: digest }
  const rollout = {
    ...{ v: 1, app: 'web', id: 'r', ...ref, by: 'ana', reason: '', startedAt: '', endedAt: null, phase: 'done' },
    ...{ stage: 0, fallbacks: {}, hold: null, outcome: null, generations: {} },
  }
  const of = (share: string) =>
    bytes(
      JSON.stringify({ ...rollout, stages: [{ ring: 'production', share: 0 }] }).replace(
        '"share":0',
        `"share":${share}`,
      ),
    )
  for (const share of ['1e999', '-1', '100.5'])
    assert.equal(
      codeOf(() => readRollout(of(share))),
      'RECORD_INVALID',
    )
  assert.equal(
    codeOf(() => readRollout(of('12.5'))),
    'accepted',
  )
})

test('a rollout of an older program is read without wishes of its stages; one of this program comes back as it was written, the plan of Slack well below 8 KiB', () => {
  const ref = { build: 'b1', manifest: digest }
  const old = {
    ...{ v: 1, app: 'web', id: 'r', ...ref, by: 'ana', reason: '', startedAt: '', endedAt: null, phase: 'advancing' },
    ...{ stages: [{ ring: 'production', share: 100 }], stage: 0, fallbacks: {}, hold: null, outcome: null },
    generations: {},
  }
  const read = readRollout(bytes(JSON.stringify(old)))
  assert.deepEqual([read.stages, read.progress, read.prestage], [[{ ring: 'production', share: 100 }], null, {}])
  const rings = SLACK.map(({ ring }) => ring)
  const [first, ...others] = stagesOf({ steps: SLACK, slotMinutes: 40 }, rings)
  assert.ok(first)
  const rollout: Rollout = {
    ...read,
    stages: [
      { ...first, smoke: ['./smoke.sh'], smokeSeconds: 9, gates: [], approval: 'manual', barrier: true },
      ...others,
    ],
    progress: { begunAt: 't', movedAt: null, convergedAt: 't', smoke: { passed: true, message: 'exit 0' } },
    promoted: 0,
    prestage: { canary: 'start' },
  }
  const written = writeRollout(rollout)
  assert.ok(written.byteLength < 2_000, `${written.byteLength} bytes`)
  assert.deepEqual(readRollout(written), rollout)
})

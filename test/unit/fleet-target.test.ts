// Owns the proof of the order: places, what a node wants, bare ids, and which orders the ratchet lets through.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { ALL, admit, bareWave, NO_RATCHET, place, readBare, type Target, targetOfBare, wants } from '#fleet/target.ts'
import { fc } from '#test/support/properties.ts'

const A = 'build-a' as BuildId
const B = 'build-b' as BuildId
const C = 'build-c' as BuildId
const digest = `sha256:${'0'.repeat(64)}` as Digest

function target(over: Partial<Target> = {}): Target {
  return {
    app: 'web' as Name,
    ring: 'production' as Name,
    generation: 57,
    build: C,
    manifest: digest,
    fallback: B,
    fallbackManifest: digest,
    cutoff: 0,
    salt: 'r-1',
    rollout: 'r-1',
    by: 'test',
    reason: '',
    at: '',
    recall: false,
    attempt: 1,
    activation: null,
    ...over,
  }
}

test('a place is the first four bytes of SHA-256 of salt, slash and node, as outside programs compute it', () => {
  // printf 'r-20261122-07/node-1' | sha256sum | cut -c1-8
  assert.equal(place('r-20261122-07', 'node-1'), 0x19407786)
})

test('below the cutoff a node runs the build and keeps the fallback cold; above it the other way round', () => {
  assert.deepEqual(wants(target({ cutoff: 100 }), 99, B), { hot: C, cold: B })
  assert.deepEqual(wants(target({ cutoff: 100 }), 100, B), { hot: B, cold: C })
  assert.deepEqual(wants(target({ cutoff: 0 }), 0, B), { hot: B, cold: C })
  assert.deepEqual(wants(target({ cutoff: ALL }), ALL - 1, A), { hot: C, cold: B })
})

test('a first deploy above the cutoff only stages, and a node that runs the build already keeps it', () => {
  const first = target({ fallback: null, fallbackManifest: null })
  assert.deepEqual(wants(first, 5, null), { hot: null, cold: C })
  assert.deepEqual(wants(first, 5, C), { hot: null, cold: null })
  assert.deepEqual(wants({ ...first, cutoff: ALL }, 5, null), { hot: C, cold: null })
})

test('in a recall a node below the cutoff may stay, nobody starts or stages, and cold is left alone', () => {
  const recall = target({ recall: true, cutoff: 100 })
  assert.deepEqual(wants(recall, 99, C), { hot: C, cold: null })
  assert.deepEqual(wants(recall, 99, B), { hot: B, cold: null })
  assert.deepEqual(wants(recall, 100, C), { hot: B, cold: null })
})

test('the record that init writes asks nothing of anybody', () => {
  assert.deepEqual(wants(target({ build: null, manifest: null, generation: 0 }), 7, A), { hot: null, cold: null })
})

test('raising the cutoff only ever adds nodes to the build, and a recall with a falling cutoff only ever takes them away', () => {
  const cutoff = fc.integer({ min: 0, max: ALL })
  fc.assert(
    fc.property(cutoff, cutoff, fc.integer({ min: 0, max: ALL - 1 }), (one, two, at) => {
      const [low, high] = one < two ? [one, two] : [two, one]
      const runs = (t: Target, hot: BuildId) => wants(t, at, hot).hot === C
      if (runs(target({ cutoff: low }), B)) assert.ok(runs(target({ cutoff: high }), B))
      if (runs(target({ cutoff: low, recall: true }), C)) assert.ok(runs(target({ cutoff: high, recall: true }), C))
      assert.ok(!runs(target({ cutoff: high, recall: true }), B))
    }),
  )
})

test('a bare id is read with or without a generation and a trailing newline; anything else is no bare id', () => {
  assert.deepEqual(readBare('20261122T144001-9be01d2\n'), { build: '20261122T144001-9be01d2', generation: null })
  assert.deepEqual(readBare('build-a@58'), { build: 'build-a', generation: 58 })
  for (const text of [
    '',
    ' ',
    '{}',
    '../etc',
    'a..b',
    'a b',
    'a@',
    'a@x',
    'a@1@2',
    'a@-1',
    '-a',
    `a${'b'.repeat(128)}`,
  ]) {
    assert.equal(readBare(text), null, JSON.stringify(text))
  }
})

test('a bare order means that build on every node and keeps the generation', () => {
  const order = targetOfBare(
    { build: A, generation: null },
    { app: 'web' as Name, ring: 'r' as Name, generation: 7, manifest: digest, at: '' },
  )
  assert.equal(order.generation, 7)
  assert.equal(order.salt, A)
  assert.deepEqual(wants(order, ALL - 1, B), { hot: A, cold: null })
})

test('the three waves of a bare order take a third of the circle each', () => {
  assert.deepEqual([0, ALL / 3 - 1, ALL / 3 + 1, (2 * ALL) / 3 + 1, ALL - 1].map(bareWave), [0, 0, 1, 2, 2])
})

test('A4 A7: a record of a lower generation never passes, whatever its index; a higher one always does', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), fc.nat(), (have, haveIndex, generation, modifyIndex) => {
      const admission = admit({ generation: have, modifyIndex: haveIndex }, { kind: 'record', generation, modifyIndex })
      assert.equal(admission.verdict === 'accept', generation > have)
      if (admission.verdict === 'accept') assert.deepEqual(admission.ratchet, { generation, modifyIndex })
    }),
  )
})

test('the order in force is known and not regressed; the same generation written again is', () => {
  const ratchet = { generation: 5, modifyIndex: 90 }
  assert.equal(admit(ratchet, { kind: 'record', generation: 5, modifyIndex: 90 }).verdict, 'known')
  assert.equal(admit(ratchet, { kind: 'record', generation: 5, modifyIndex: 91 }).verdict, 'regressed')
  assert.equal(admit(NO_RATCHET, { kind: 'record', generation: 0, modifyIndex: 3 }).verdict, 'accept')
})

test('a bare id passes only with a higher index, from a read that is not stale', () => {
  const ratchet = { generation: 5, modifyIndex: 90 }
  const bare = (generation: number | null, modifyIndex: number, stale = false) =>
    admit(ratchet, { kind: 'bare', generation, modifyIndex, stale })
  assert.deepEqual(bare(null, 91), { verdict: 'accept', ratchet: { generation: 5, modifyIndex: 91 } })
  assert.equal(bare(null, 91, true).verdict, 'confirm')
  assert.equal(bare(null, 90).verdict, 'known')
  assert.equal(bare(null, 89).verdict, 'regressed')
  assert.equal(bare(4, 91).verdict, 'regressed')
  assert.deepEqual(
    bare(6, 2),
    { verdict: 'accept', ratchet: { generation: 6, modifyIndex: 2 } },
    'a rebuilt Consul begins at low indexes',
  )
})

// Owns the proof that changes are whole and no more than that: who follows them has the picture, and nothing is said of what is as it was.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodePicture, Picture, RingPicture } from '#conductor/core/picture.ts'
import { changeOf } from '#conductor/web/changes.ts'
import { applied } from '#test/support/pictured.ts'
import { fc } from '#test/support/properties.ts'

const words = fc.constantFrom('a', 'b', 'c')
const refusal = fc.option(fc.record({ build: words, code: words, message: words }))
const node = (name: string) =>
  fc.record({
    node: fc.constant(name),
    phase: words,
    hot: fc.option(words),
    at: words,
    refusal,
    troubles: fc.array(fc.record({ code: words, message: words }), { maxLength: 2 }),
  })
const nodes = fc
  .subarray(['n1', 'n2', 'n3', 'n4'])
  .chain((names) => fc.tuple(...names.map(node)))
  .map((all) => all as unknown as readonly NodePicture[])
const ring = (name: string) =>
  fc
    .record({
      target: fc.option(fc.record({ build: words, cutoff: fc.nat(3) })),
      trouble: fc.option(fc.record({ code: words })),
      total: fc.nat(2),
      nodes,
    })
    .map(({ total, ...rest }) => ({ ring: name, counts: { total }, ...rest }) as unknown as RingPicture)
const picture = fc
  .record({
    rings: fc.tuple(ring('staging'), ring('production')),
    rollout: fc.option(fc.record({ id: words, hold: fc.option(fc.record({ by: words })) })),
    lease: fc.option(fc.record({ holder: words })),
    holds: fc.array(fc.record({ by: words }), { maxLength: 1 }),
  })
  // As it comes over the wire.
  .map((rest) => JSON.parse(JSON.stringify({ app: 'web', ...rest })) as Picture)

test('who applies a change to the picture before has the picture after; of two that are the same nothing is said', () => {
  fc.assert(
    fc.property(picture, picture, (before, after) => {
      const change = changeOf(before, after)
      assert.deepEqual(change === null ? before : applied(before, change), after)
      assert.equal(changeOf(after, structuredClone(after)), null)
    }),
    { numRuns: 500 },
  )
})

test('a change names nodes that say something new, and no others', () => {
  fc.assert(
    fc.property(picture, picture, (before, after) => {
      for (const { ring: name, nodes: said = [], gone = [] } of changeOf(before, after)?.rings ?? []) {
        const [old, now] = [before, after].map(({ rings }) => rings.find((one) => one.ring === name)?.nodes ?? [])
        for (const one of said) {
          const was = old?.find((each) => each.node === one.node)
          assert.notDeepEqual(one, was)
        }
        for (const one of gone) assert.ok(now?.every((each) => each.node !== one))
      }
    }),
  )
})

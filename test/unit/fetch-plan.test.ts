// Owns the proof of the fetch plan: every byte of every wanted file is asked for once, in order, in few requests.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchPlan } from '#fleet/fetch-plan.ts'
import type { Entry, Frame } from '#fleet/manifest.ts'
import { fc } from '#test/support/properties.ts'

/** Files one after the other in frames of the given raw lengths; every frame is half as long in the artifact. */
function artifact(
  sizes: readonly number[],
  frameBytes: readonly number[],
): { entries: Entry[]; frames: Frame[]; bytes: number } {
  let at = 0
  const frames = frameBytes.map((rawBytes) => {
    const bytes = Math.ceil(rawBytes / 2)
    at += bytes
    return { offset: at - bytes, bytes, rawBytes }
  })
  let frame = 0
  let offset = 0
  const entries = sizes.map((size, index): Entry => {
    const entry = { frame, offset }
    for (let left = size; left > 0; ) {
      const here = Math.min(left, (frameBytes[frame] ?? 0) - offset)
      left -= here
      offset += here
      if (offset === frameBytes[frame]) {
        frame += 1
        offset = 0
      }
    }
    return { type: 'f', mode: 0o644, size, mtime: 0, content: '', ...entry, path: `f${index}` }
  })
  return { entries, frames, bytes: at }
}

const KIB = 1024

test('neighbours are had by one request, far ones by their own, and a little in between is bridged', () => {
  const frames = Array.from({ length: 40 }, () => 100 * KIB)
  const { entries, bytes, ...rest } = artifact(frames, frames)
  const plan = fetchPlan(entries, rest.frames, bytes, [0, 1, 3, 30])
  const segments = plan.chains.flat().map(({ first, end }) => [first, end])
  assert.deepEqual(segments, [
    [0, 4],
    [30, 31],
  ])
  assert.equal(plan.whole, false)
})

test('when most of it is wanted, all of it is read in order', () => {
  const frames = Array.from({ length: 10 }, () => 500 * KIB)
  const { entries, bytes, ...rest } = artifact(frames, frames)
  const plan = fetchPlan(entries, rest.frames, bytes, [0, 1, 2, 4, 5, 6, 8, 9])
  assert.equal(plan.whole, true)
  assert.equal(plan.bytes, bytes)
})

test('the changed ends of a large file form one chain, and what is kept in between is not asked for', () => {
  const frames = Array.from({ length: 100 }, () => 1024 * KIB)
  const { entries, bytes, ...rest } = artifact([100 * 1024 * KIB], frames)
  const plan = fetchPlan(entries, rest.frames, bytes, [0], (_, at) => at > 0 && at < 99 * 1024 * KIB)
  assert.deepEqual(
    plan.chains.map((chain) => chain.map(({ first, end }) => [first, end])),
    [
      [
        [0, 1],
        [99, 100],
      ],
    ],
  )
})

test('every wanted byte is in exactly one piece, and chains are independent of each other', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 30 })
  const run = fc.property(
    sizes,
    fc.integer({ min: 100, max: 9_000 }),
    fc.infiniteStream(fc.boolean()),
    (files, frame, coin) => {
      const total = files.reduce((sum, size) => sum + size, 0)
      const { entries, frames, bytes } = artifact(
        files,
        Array.from({ length: Math.ceil(total / frame) }, () => frame),
      )
      const wanted = entries.flatMap((_, index) => (coin.next().value ? [index] : []))
      const plan = fetchPlan(entries, frames, bytes, wanted)
      const got = new Map<number, number>()
      const chainOf = new Map<number, number>()
      for (const [number, chain] of plan.chains.entries()) {
        for (const { first, end } of chain) {
          for (let index = first; index < end; index += 1) {
            for (const piece of plan.pieces.get(index) ?? []) {
              assert.equal(piece.at, got.get(piece.entry) ?? 0, 'pieces come in order')
              assert.equal(chainOf.get(piece.entry) ?? number, number, 'a file stays in its chain')
              chainOf.set(piece.entry, number)
              got.set(piece.entry, piece.at + piece.bytes)
            }
          }
        }
      }
      for (const index of wanted) assert.equal(got.get(index) ?? 0, entries[index]?.size)
      assert.equal(got.size, wanted.filter((index) => (entries[index]?.size ?? 0) > 0).length)
    },
  )
  fc.assert(run, { numRuns: 300 })
})

test('a manifest whose file reaches over the last frame is not believed', () => {
  const { entries, frames, bytes } = artifact([100], [100])
  const longer = entries.map((entry) => ({ ...entry, size: 200 }))
  assert.throws(() => fetchPlan(longer, frames, bytes, [0]), RangeError)
})

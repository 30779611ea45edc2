// Owns the proof of which files begin in which frame, and of where an artifact is cut, against a slow reading of the same manifest.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeManifest, type Manifest } from '#fleet/manifest.ts'
import { readManifest } from '#fleet/manifest-table.ts'
import { frameRows, stretches } from '#puller/shell/frame-rows.ts'
import { type Made, manifestOf } from '#test/support/manifests.ts'
import { fc } from '#test/support/properties.ts'

const made: fc.Arbitrary<Made> = fc.oneof(
  fc.nat(3_000).map((bytes) => ({ text: 'x'.repeat(bytes) })),
  fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5_000 })).map(([count, lastBytes]) => {
    return { chunks: Array.from({ length: count }, (_, at) => `${at}`), lastBytes }
  }),
  fc.constantFrom<Made>({ link: 'a' }, { directory: true }),
)

const LARGEST_FRAME_BYTES = 8_000_000

/** Frames cut anew, without regard for where files begin: one may hold many, and one may go on over many. */
function recut(manifest: Manifest, cuts: readonly number[]): Manifest {
  const starts: number[] = []
  let total = 0
  for (const { rawBytes } of manifest.frames) {
    starts.push(total)
    total += rawBytes
  }
  // A frame has a largest size: cut there at the latest.
  const needed = Array.from({ length: Math.ceil(total / LARGEST_FRAME_BYTES) }, (_, at) => at * LARGEST_FRAME_BYTES)
  const at = [...new Set([...needed, ...cuts.map((cut) => cut % total), total])].sort((a, b) => a - b)
  const frames = at.slice(1).map((end, index) => ({ offset: index, bytes: 1, rawBytes: end - (at[index] ?? 0) }))
  const entries = manifest.entries.map((entry) => {
    if (entry.size === 0) return entry
    const place = (starts[entry.frame] ?? 0) + entry.offset
    const frame = at.findLastIndex((start) => start <= place)
    return { ...entry, frame, offset: place - (at[frame] ?? 0) }
  })
  return { ...manifest, frames, entries, artifact: { ...manifest.artifact, bytes: frames.length } }
}

/** A manifest whose frames are cut anywhere, and which of its files begin where when some of them are wanted. */
const dealt = fc
  .tuple(
    fc.array(made, { minLength: 1, maxLength: 15 }),
    fc.array(fc.nat(9_000_000), { maxLength: 12 }),
    fc.infiniteStream(fc.boolean()),
  )
  .map(([list, cuts, isWanted]) => {
    const manifest = recut(manifestOf(Object.fromEntries(list.map((one, at) => [`f${at}`, one]))), cuts)
    const columns = readManifest(encodeManifest(manifest))?.columns
    assert.ok(columns !== undefined)
    const wanted = Uint8Array.from(manifest.entries, () => (isWanted.next().value ? 1 : 0))
    return { manifest, wanted, byFrame: frameRows(columns, manifest.frames, wanted) }
  })

test('each wanted file with bytes begins in one frame and reaches to its last byte; none other is named', () => {
  fc.assert(
    fc.property(dealt, ({ manifest, wanted, byFrame }) => {
      const ends: number[] = []
      for (const { rawBytes } of manifest.frames) ends.push((ends.at(-1) ?? 0) + rawBytes)
      for (const [index] of manifest.frames.entries()) {
        const rows = [...manifest.entries.keys()].filter((row) => {
          const { type, size, frame } = manifest.entries[row] ?? assert.fail()
          return wanted[row] === 1 && type === 'f' && size > 0 && frame === index
        })
        assert.deepEqual(byFrame.startingIn(index), rows)
        const lasts = rows.map((row) => {
          const { size, offset } = manifest.entries[row] ?? assert.fail()
          const lastByte = (ends[index - 1] ?? 0) + offset + size - 1
          return ends.findIndex((end) => lastByte < end)
        })
        assert.equal(byFrame.reachOf(index), Math.max(-1, ...lasts))
      }
    }),
    { numRuns: 200 },
  )
})

test('an artifact is cut where no wanted file crosses, in pieces as small as was asked for, and all that is wanted is in one of them', () => {
  fc.assert(
    fc.property(dealt, fc.integer({ min: 1, max: 6 }), ({ manifest, byFrame }, leastBytes) => {
      const cut = stretches(manifest.frames, byFrame, leastBytes)
      // Each frame has one byte in these manifests: places in the artifact are numbers of frames.
      const homeOf = (frame: number) => cut.findIndex(({ start, end }) => start <= frame && frame < end)
      for (const [at, { first, start, end }] of cut.entries()) {
        assert.equal(first, start)
        assert.ok(end > start && start >= (cut[at - 1]?.end ?? 0))
      }
      const crossed = new Set<number>()
      for (const [frame] of manifest.frames.entries()) {
        const reach = byFrame.reachOf(frame)
        if (reach < 0) continue
        assert.ok(homeOf(frame) >= 0 && homeOf(frame) === homeOf(reach), 'a file lies in one piece')
        for (let before = frame; before < reach; before += 1) crossed.add(before)
      }
      for (const { start, end } of cut) {
        for (let last = start + leastBytes - 1; last < end - 1; last += 1) {
          assert.ok(crossed.has(last), 'a piece goes on only as long as a file crosses its end')
        }
      }
    }),
    { numRuns: 200 },
  )
})

// Owns the proof of compressing on threads: the same bytes in the same order, nothing lost of what was handed over, and threads that end.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { zstdDecompressSync } from 'node:zlib'
import { Compressors } from '#conductor/shell/compressors.ts'
import { compressFrames, type RawFrame } from '#conductor/shell/frames.ts'
import { zstdFrame } from '#conductor/shell/zstd.ts'
import type { Frame } from '#fleet/manifest.ts'
import { noise } from '#test/support/patch-scene.ts'

const never = new AbortController().signal

/** Of all sizes that a publish makes, from one byte to the largest piece; some of them out of Node's pool, which must not be given away. */
function raws(): Buffer[] {
  const sizes = [1, 100, 3_000, 4_096, 70_000, 250_000, 1024 * 1024]
  return Array.from({ length: 60 }, (_, at) => {
    const bytes = noise(sizes[at % sizes.length] ?? 1, at)
    return at % 2 === 0 ? Buffer.concat([bytes]) : Buffer.from(bytes.fill('all the same, ', 0, bytes.byteLength))
  })
}

test('frames come out in order, as one thread alone would have made them, with their places', async () => {
  const wanted = raws().map((raw) => ({ raw, packed: zstdFrame(raw) }))
  const places: Frame[] = []
  const source = raws().map((raw, at): RawFrame => (at % 3 === 0 ? { raw, digest: `${at}` } : { raw }))
  const frames = compressFrames(source.values(), (frame) => places.push(frame), never)
  const got: Uint8Array[] = []
  for await (const frame of frames) got.push(frame)
  let offset = 0
  for (const [at, { raw, packed }] of wanted.entries()) {
    assert.deepEqual(got[at], packed)
    assert.deepEqual(zstdDecompressSync(got[at] ?? new Uint8Array()), raw)
    const place = { offset, bytes: packed.byteLength, rawBytes: raw.byteLength }
    assert.deepEqual(places[at], at % 3 === 0 ? { ...place, digest: `${at}` } : place)
    offset += packed.byteLength
  }
  assert.equal(got.length, wanted.length)
})

test('whoever stops half-way, or is called off, leaves no thread behind and ends no process', async () => {
  const before = process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length
  for (let round = 0; round < 10; round += 1) {
    for await (const _ of compressFrames(
      raws()
        .map((raw) => ({ raw }))
        .values(),
      () => undefined,
      never,
    ))
      break
    const off = new AbortController()
    const frames = compressFrames(
      raws()
        .map((raw) => ({ raw }))
        .values(),
      () => off.abort(new Error('off')),
      off.signal,
    )
    await assert.rejects(async () => {
      for await (const _ of frames);
    }, /off/)
  }
  await setImmediate()
  assert.equal(process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length, before)
})

test('a source that fails is told as it is', async () => {
  function* failing(): Generator<RawFrame, void> {
    yield { raw: Buffer.from('first') }
    throw new Error('the disk is gone')
  }
  await assert.rejects(async () => {
    for await (const _ of compressFrames(failing(), () => undefined, never));
  }, /the disk is gone/)
})

test('what cannot be compressed fails alone, and the threads end all the same', async () => {
  const compressors = new Compressors()
  const sound = compressors.compress([new Uint8Array(10), new Uint8Array(20)])
  await compressors.close()
  assert.deepEqual(
    (await sound).map((frame) => zstdDecompressSync(frame).byteLength),
    [10, 20],
  )
})

// Owns the proof that memory is let go of at once, and never that of somebody else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { memoryStore } from '#adapters/memory/store.ts'
import { decompressed } from '#puller/shell/decompress.ts'
import { discard } from '#puller/shell/discard.ts'

test('the memory of a buffer of its own is gone at once', () => {
  const bytes = new Uint8Array(100_000)
  discard(bytes)
  assert.equal(bytes.byteLength, 0)
})

test('memory that others may use as well is left alone', () => {
  const pooled = Buffer.from('one of many in the pool')
  discard(pooled)
  assert.equal(pooled.toString(), 'one of many in the pool')
  const whole = new Uint8Array(10).fill(7)
  discard(whole.subarray(0, 5))
  discard(whole.subarray(5))
  assert.deepEqual([...whole], Array(10).fill(7))
  const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(3)
  discard(shared)
  assert.deepEqual([...shared], [3, 3, 3, 3])
})

test('raw bytes of a frame are gone when their use is over, whether it ends well or not, and so is the frame', () => {
  const content = Buffer.alloc(200_000, 'some text')
  for (const fails of [false, true]) {
    const frame = Uint8Array.from(zstdCompressSync(content))
    let kept: Buffer | null = null
    const use = () =>
      decompressed(frame, content.byteLength, (raw) => {
        kept = raw
        assert.ok(raw !== null)
        assert.ok(raw.equals(content))
        if (fails) throw new RangeError('a full disk')
        return raw.byteLength
      })
    if (fails) assert.throws(use, RangeError)
    else assert.equal(use(), content.byteLength)
    assert.equal((kept as Buffer | null)?.byteLength, 0)
    assert.equal(frame.byteLength, 0)
  }
})

test('a frame that is none, or of another length, is given as null', () => {
  const packed = () => Uint8Array.from(zstdCompressSync(Buffer.from('x'.repeat(100))))
  for (const [frame, rawBytes] of [
    [packed(), 99],
    [packed(), 101],
    [packed().subarray(0, 10), 100],
    [new Uint8Array(0), 100],
  ] as const) {
    assert.equal(
      decompressed(frame, rawBytes, (raw) => raw),
      null,
    )
  }
})

test('a reader may discard what a store gave, and reads the same again', async () => {
  const store = memoryStore()
  const { signal } = new AbortController()
  async function* body() {
    yield new Uint8Array(1_000).fill(9)
  }
  await store.create('object', body(), signal)
  for (let round = 0; round < 2; round += 1) {
    let bytes = 0
    for await (const part of store.read('object', {}, signal)) {
      assert.ok(part.every((byte) => byte === 9))
      bytes += part.byteLength
      discard(part)
    }
    assert.equal(bytes, 1_000)
  }
})

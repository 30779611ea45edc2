// Owns the proof that worker threads can be ended at any moment of their work, as a staging that is called off does.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { zstdCompressSync } from 'node:zlib'
import { Workers } from '#puller/shell/workers.ts'
import { tmp } from '#test/support/tmp.ts'

/** Rounds that must have been ended in the middle. On a busy machine many end before or after it. */
const WANTED = 16
const MOST_ROUNDS = 400
const RAW_BYTES = 10
const FRAMES = 4_000

test('E16: threads that are ended in the middle of decompressing end alone, and not the process with them', async (t) => {
  const root = await tmp(t)
  const options = { tree: join(root, 'tree'), attempt: join(root, 'attempt'), owner: null }
  mkdirSync(options.tree)
  mkdirSync(options.attempt)
  const frame = zstdCompressSync(Buffer.alloc(RAW_BYTES))
  let cutOff = 0
  for (let round = 0; cutOff < WANTED; round += 1) {
    assert.ok(round < MOST_ROUNDS, `only ${cutOff} of ${round} rounds were ended in the middle`)
    const workers = new Workers(2)
    await workers.all('openWriter', [options])
    const calls = Array.from({ length: FRAMES }, (_, at) =>
      workers.call(at, 'writeFrame', [frame, RAW_BYTES, [], true]),
    )
    const ends = Promise.allSettled(calls)
    for (let turns = 0; turns < 1 + (round % 7); turns += 1) await turn()
    await workers.close()
    if ((await ends).some(({ status }) => status === 'rejected')) cutOff += 1
  }
})

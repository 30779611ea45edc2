// Owns the proof of how much is brought beside a tree: what an interruption may cost is bounded.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLittle } from '#puller/core/patch.ts'

const MIB = 1024 * 1024

test('B4: what takes a line minutes to bring is put in its place file by file, so that a next try goes on from what is there', () => {
  assert.ok(isLittle({ fetchedBytes: 0 }))
  assert.ok(isLittle({ fetchedBytes: 256 * MIB }))
  assert.ok(!isLittle({ fetchedBytes: 256 * MIB + 1 }))
})

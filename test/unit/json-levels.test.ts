// Owns the proof that a record which is nested too deep is refused before anything recursive meets it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFleetError } from '#fleet/errors.ts'
import { jsonLevels } from '#fleet/json-levels.ts'
import { readHistoryEntry } from '#fleet/wire.ts'

test('brackets count where they open, and not in strings', () => {
  assert.equal(jsonLevels('1'), 0)
  assert.equal(jsonLevels('{"a":[1,{"b":2}],"c":{}}'), 3)
  assert.equal(jsonLevels('["[[[[", "\\"[[", "\\\\", []]'), 2)
})

test('E10: an entry of the history that is nested thousands deep is refused with its code', () => {
  const entry = (build: string) =>
    new TextEncoder().encode(
      `{"v":1,"seq":1,"prev":"","at":"2026-11-22T16:04:30.120Z","by":"ana","event":"ended","facts":{"build":${build}}}`,
    )
  assert.ok(readHistoryEntry(entry('[[["deep enough"]]]')))
  assert.throws(
    () => readHistoryEntry(entry('['.repeat(3_500) + ']'.repeat(3_500))),
    (error) => isFleetError(error, 'RECORD_INVALID') && /nested 3502 deep/.test(error.message),
  )
})

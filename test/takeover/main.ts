// Owns `npm run test:takeover`: a driving release killed, and frozen, at every point of its way, and another that goes on. Argument: how many at a time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameOf, pointsOf } from './points.ts'
import { play } from './scene.ts'

const concurrency = Number(process.argv[2] ?? 4)
assert.ok(Number.isInteger(concurrency) && concurrency > 0, 'how many at a time is a whole number above 0')

for (const fate of ['killed', 'frozen'] as const) {
  const points = pointsOf(fate)
  test(`F6: the driving process ${fate} at ${points.length} points`, { concurrency }, async (t) => {
    assert.ok(points.length >= 50)
    await Promise.all(points.map((point) => t.test(nameOf(point), (each) => play(each, point))))
  })
}

// Owns the proof of the demo: it keeps its promises on a fleet of three, and without a drain it finds itself out.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { run } from '#test/support/fleet.ts'
import { PROJECT } from '#test/support/source.ts'

function demo(env: Record<string, string> = {}) {
  return run([join(PROJECT, 'conductor/conduct'), 'demo', '--nodes', '3', '--embedded'], { env })
}

// Side by side: most of a demo's time is waiting.
describe('the demo', { concurrency: true }, () => {
  test('a release, a broken release and a rollback under load: nothing fails, nothing mixes, nothing is fetched', async () => {
    const { code, stdout, stderr } = await demo()
    assert.equal(code, 0, `${stdout}\n${stderr}`)
    assert.match(stdout, /requests failed +0\n/)
    assert.match(stdout, /answers mixing two builds +0\n/)
    assert.match(stdout, /rollback to build 1 +0 B/)
    assert.match(stdout, /reverted by themselves +node-\d/)
    assert.match(stdout, /✓ no request failed/)
    assert.match(stderr, /Consul: the embedded agent/)
  })

  test('without the drain the same story mixes builds, and the demo says so and exits 1', async () => {
    const { code, stdout, stderr } = await demo({ HOTCOLD_FAILPOINT: 'skipDrain' })
    assert.equal(code, 1, `${stdout}\n${stderr}`)
    assert.match(stdout, /✗ \d+ answers mixed two builds \(node-\d: layout of/)
  })
})

// Owns the proof of what a daemon says of itself: how fresh its view is, part by part, and whether its loops turn.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Freshnesses } from '#conductor/shell/freshness.ts'
import { isKnownHost } from '#conductor/web/door.ts'
import { Liveness } from '#conductor/web/liveness.ts'
import type { Clock } from '#fleet/ports.ts'

/** A clock that the test moves. */
function handClock(): Clock & { ms: number } {
  const clock = {
    ms: 0,
    now: () => clock.ms,
    monotonic: () => clock.ms,
    random: () => 0.5,
    sleep: async () => undefined,
  }
  return clock
}

test('a view is fresh when every part was answered lately; the reason names the part that was not', () => {
  const clock = handClock()
  const parts = new Freshnesses(clock, ['rollout', 'nodes of production'])
  assert.deepEqual(parts.look(), { fresh: false, ageMs: 0, reason: 'rollout: not read yet' })
  parts.answered('rollout')
  parts.answered('nodes of production')
  clock.ms = 10_000
  parts.answered('rollout')
  assert.deepEqual(parts.look(), { fresh: true, ageMs: 10_000, reason: null })
  clock.ms = 17_001
  assert.deepEqual(parts.look(), { fresh: false, ageMs: 17_001, reason: 'nodes of production: not answered for 17 s' })
  assert.deepEqual(
    [parts.isFresh('rollout'), parts.isFresh('nodes of production'), parts.isFresh('else')],
    [true, false, false],
  )
  parts.answered('nodes of production')
  parts.troubled('rollout', 'Consul refuses')
  assert.equal(parts.look().reason, 'rollout: Consul refuses')
  parts.answered('rollout')
  assert.equal(parts.look().fresh, true)
})

test('the slowest loop tells whether the daemon is alive', () => {
  const clock = handClock()
  const life = new Liveness(clock, ['view', 'leader'])
  clock.ms = 60_000
  life.turned('view')
  assert.deepEqual(life.look(), { alive: true, turnedMs: 60_000, reason: null })
  clock.ms = 61_000
  assert.deepEqual(life.look(), { alive: false, turnedMs: 61_000, reason: 'the leader has not turned for 61 s' })
  life.turned('leader')
  assert.equal(life.look().alive, true)
})

test('addresses, localhost and named hosts are known by any port; nothing that merely looks like them is', () => {
  const known = ['localhost', 'LOCALHOST:80', '127.0.0.1:9470', '[::1]', '[fe80::1]:9470', 'deploy.internal:1']
  const unknown = [
    '',
    'localhost.',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '[evil]',
    'evil:80:80',
    '1.2.3',
    'x@127.0.0.1',
  ]
  assert.deepEqual(
    known.filter((host) => !isKnownHost(host, ['deploy.internal'])),
    [],
  )
  assert.deepEqual(
    unknown.filter((host) => isKnownHost(host, ['deploy.internal'])),
    [],
  )
})

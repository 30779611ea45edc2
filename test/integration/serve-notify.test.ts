// Owns the proof that systemd is told how a daemon stands, by its own systemd-notify, and that a stuck daemon is not spoken for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { systemdNotifier } from '#adapters/runtime/notify.ts'
import { feedDog } from '#conductor/shell/watchdog.ts'
import { conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { notifySocket } from '#test/support/notify-socket.ts'
import { recordedLog } from '#test/support/recorded-log.ts'
import { servingProcess } from '#test/support/serving.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

test('a daemon tells systemd when it serves, that it lives, and when it stops', async (t) => {
  const { url } = await startConsul(t)
  const { dir } = await conducting(t, { url, nodes: 0 })
  const socket = await notifySocket(t)
  const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '400000' }
  const daemon = await servingProcess(t, { dir, url, env })
  await until('it is ready', () => socket.messages().some((one) => /^READY=1;STATUS=serves web at 127/.test(one)))
  await until('it lives', () => socket.messages().filter((one) => one === 'WATCHDOG=1').length >= 3)
  assert.equal(await daemon.stop('SIGTERM'), 0)
  await until('it stops', () => socket.messages().includes('STOPPING=1'))
})

test('loops that stand still are not spoken for, until they turn again', async (t) => {
  const socket = await notifySocket(t)
  const { log, lines } = recordedLog()
  const notifier = systemdNotifier({ NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '80000' }, { log })
  assert.equal(notifier.watchdogMs, 80)
  let stuckMs = 0
  const stop = new AbortController()
  const feeding = feedDog(notifier, () => stuckMs, systemClock, stop.signal)
  t.after(async () => {
    stop.abort()
    await feeding
  })
  await until('it is fed', () => socket.messages().length >= 2)
  stuckMs = 41
  // What is on its way still arrives: a marker behind it, through the same door, shows that nothing follows.
  const marker = () => notifier.tell('ready', 'marker')
  await marker()
  const before = socket.messages().length
  for (let i = 0; i < 5; i += 1) await marker()
  await until('the markers arrive', () => socket.messages().filter((one) => one.includes('marker')).length >= 6)
  const fed = socket
    .messages()
    .slice(before)
    .filter((one) => one === 'WATCHDOG=1')
  assert.ok(fed.length <= 1, `fed ${fed.length} times while stuck`)
  stuckMs = 0
  const count = socket.messages().length
  await until('it is fed again', () => socket.messages().length > count)
  assert.deepEqual(lines, [])
})

test('nobody listens: it is said once, and nothing ends; without systemd nothing is started at all', async (t) => {
  const { log, lines } = recordedLog()
  const nobody = systemdNotifier({ NOTIFY_SOCKET: `${await tmp(t, 'notify')}/none`, WATCHDOG_USEC: 'soon' }, { log })
  assert.equal(nobody.watchdogMs, null)
  await nobody.tell('ready')
  await nobody.tell('stopping')
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['warn', 'systemd could not be told']],
  )
  const without = systemdNotifier({ WATCHDOG_USEC: '1000' }, { log })
  await without.tell('ready')
  assert.deepEqual([without.watchdogMs, lines.length], [null, 1])
})

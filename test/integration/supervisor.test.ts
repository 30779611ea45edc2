// Owns the proof that systemd is told how a program stands, by its own systemd-notify, and that a stuck one is not spoken for.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { openSupervisor } from '#adapters/runtime/supervisor.ts'
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
  await until(
    'it lives',
    () => socket.messages().filter((one) => one.startsWith('WATCHDOG=1;STATUS=serves web')).length >= 3,
  )
  assert.equal(await daemon.stop('SIGTERM'), 0)
  await until('it stops', () => socket.messages().includes('STOPPING=1'))
})

/** A supervisor with a patience of 90 ms, watching what `works` says. */
async function watched(t: TestContext, works: () => Promise<string>) {
  const socket = await notifySocket(t)
  const { log, lines } = recordedLog()
  const env: Record<string, string | undefined> = { ...process.env, NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '90000' }
  const supervisor = openSupervisor(env, { clock: systemClock, log })
  const stop = new AbortController()
  const watching = supervisor.watch(works, stop.signal)
  t.after(async () => {
    stop.abort()
    await watching
  })
  return { socket, lines, supervisor, env }
}

test('D8: a program that does not answer itself is not spoken for, until it does again', async (t: TestContext) => {
  let well = true
  const { socket, lines, supervisor } = await watched(t, async () => {
    if (!well) throw new Error('no answer')
    return 'idle, runs\nb-1'
  })
  const fed = () => socket.messages().filter((one) => one === 'WATCHDOG=1;STATUS=idle, runs b-1').length
  assert.equal(supervisor.watchdogMs, 90)
  await until('it is fed', () => fed() >= 2)
  assert.equal(lines.length, 0)
  well = false
  await until('its silence is logged', () => lines.length >= 1)
  // What is on its way still arrives: a marker behind it, through the same door, shows that nothing follows.
  await supervisor.ready('marker')
  const before = fed()
  await until('its silence is logged again', () => lines.length >= 4)
  await supervisor.ready('marker')
  await until('the markers arrive', () => socket.messages().filter((one) => one.includes('marker')).length >= 2)
  assert.equal(fed(), before)
  assert.match(lines[0]?.message ?? '', /does not answer itself/)
  well = true
  await until('it is fed again', () => fed() > before)
})

test('hooks and gates cannot speak for the program: what names the socket is taken out of their environment', async (t: TestContext) => {
  const { env } = await watched(t, async () => 'well')
  assert.deepEqual([env.NOTIFY_SOCKET, env.WATCHDOG_USEC], [undefined, undefined])
})

test('nobody listens: it is said once, and nothing ends; without systemd nothing is started at all', async (t: TestContext) => {
  const { log, lines } = recordedLog()
  const around = { clock: systemClock, log }
  const nobody = openSupervisor({ NOTIFY_SOCKET: `${await tmp(t, 'notify')}/none`, WATCHDOG_USEC: 'soon' }, around)
  assert.equal(nobody.watchdogMs, null)
  await nobody.ready('x')
  await nobody.stopping()
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['warn', 'systemd could not be told']],
  )
  const without = openSupervisor({ WATCHDOG_USEC: '1000', PATH: '/nowhere' }, around)
  await without.ready('x')
  await without.watch(async () => assert.fail('nobody listens'), new AbortController().signal)
  const others = { NOTIFY_SOCKET: '/none', WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' }
  const another = openSupervisor(others, around)
  assert.deepEqual([without.watchdogMs, another.watchdogMs, lines.length], [null, null, 1])
})

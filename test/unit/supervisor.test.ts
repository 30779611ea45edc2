// Owns the proof of what a program tells systemd, and when it is silent. That a real systemd hears it is proved by `npm run test:systemd`.
import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { openSupervisor } from '#adapters/runtime/supervisor.ts'
import { recordedLog } from '#test/support/recorded-log.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

/** A `systemd-notify` that writes down what it is told, in a PATH of its own. */
async function ear(t: TestContext) {
  const dir = await tmp(t, 'notify')
  const heard = join(dir, 'heard')
  const program = join(dir, 'systemd-notify')
  writeFileSync(program, `#!/bin/sh\nfor word; do echo "$NOTIFY_SOCKET $word" >> ${heard}; done\n`)
  chmodSync(program, 0o755)
  const env: NodeJS.ProcessEnv = { PATH: `${dir}:${process.env.PATH}`, NOTIFY_SOCKET: '/run/notify' }
  return { env, lines: () => (existsSync(heard) ? readFileSync(heard, 'utf8').trim().split('\n') : []) }
}

test('a unit is told ready and stopping, with what a person reads in its status', async (t: TestContext) => {
  const { env, lines } = await ear(t)
  const supervisor = openSupervisor(env, { clock: systemClock, log: recordedLog().log })
  assert.equal(supervisor.listens, true)
  await supervisor.ready('follows web/production')
  await supervisor.stopping()
  assert.deepEqual(lines(), [
    '/run/notify READY=1',
    '/run/notify STATUS=follows web/production',
    '/run/notify STOPPING=1',
  ])
})

test('hooks and drains cannot speak for the program: what names the socket is taken out of their environment', async (t: TestContext) => {
  const { env } = await ear(t)
  Object.assign(env, { WATCHDOG_USEC: '3000000', WATCHDOG_PID: String(process.pid) })
  assert.equal(openSupervisor(env, { clock: systemClock, log: recordedLog().log }).watchdogMs, 3_000)
  assert.deepEqual(Object.keys(env), ['PATH'])
})

test('a watchdog that is meant for another process is left to it', async (t: TestContext) => {
  const { env } = await ear(t)
  Object.assign(env, { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' })
  assert.equal(openSupervisor(env, { clock: systemClock, log: recordedLog().log }).watchdogMs, null)
})

test('D8: the watchdog hears of a program that answers itself, and nothing of one that does not', async (t: TestContext) => {
  const { env, lines } = await ear(t)
  Object.assign(env, { WATCHDOG_USEC: '60000' })
  const { log, lines: logged } = recordedLog()
  const stop = new AbortController()
  t.after(() => stop.abort())
  let well = true
  const works = async () => {
    if (!well) throw new Error('no answer')
    return 'idle, runs b-1'
  }
  const watching = openSupervisor(env, { clock: systemClock, log }).watch(works, stop.signal)
  await until('it was told twice', () => lines().filter((line) => line.endsWith('WATCHDOG=1')).length >= 2)
  assert.ok(lines().includes('/run/notify STATUS=idle, runs b-1'))
  well = false
  await until('its silence is logged', () => logged.some(({ message }) => /does not answer itself/.test(message)))
  const told = lines().length
  const warned = logged.length
  await until('and again', () => logged.length > warned)
  assert.equal(lines().length, told)
  stop.abort()
  await watching
})

test('a program that was started by hand tells nobody', async () => {
  const supervisor = openSupervisor({ PATH: '/nowhere' }, { clock: systemClock, log: recordedLog().log })
  assert.deepEqual([supervisor.listens, supervisor.watchdogMs], [false, null])
  await supervisor.ready('x')
  await supervisor.watch(async () => assert.fail('nobody listens'), new AbortController().signal)
})

// Owns `npm run test:systemd`: what the units promise, on machines that are booted for it. Needs root.
import './doctor.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '#test/support/until.ts'
import { installedHost, PULLER } from './scene.ts'

/** Of `systemd-analyze security`: 0 is shut, 10 is open. */
const MOST_EXPOSED = 2.0

test('the installed units are in order, and systemd finds them shut', async (t) => {
  const { host } = await installedHost(t, 'analysis')
  for (const unit of [PULLER, 'hotcold-conductor.service']) {
    assert.equal(await host.must('systemd-analyze', 'verify', unit), '', `${unit} is clean`)
    const rows = await host.must('systemd-analyze', 'security', '--no-pager', unit)
    const exposed = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(rows)?.[1])
    t.diagnostic(`${unit}: exposure ${exposed}`)
    assert.ok(exposed <= MOST_EXPOSED, `${unit} is exposed ${exposed}`)
  }
})

test('a machine boots with its puller, and a release reaches an application of another user', async (t) => {
  const { host, conduct, publish, ask, started } = await installedHost(t, 'boot')
  await started('active', 0)
  assert.equal(await host.property(PULLER, 'User'), 'hotcold')
  const one = await publish('one')
  assert.equal((await conduct('init')).code, 0)
  const first = await conduct('release', one, '--yes')
  assert.equal(first.code, 0, first.out)
  assert.equal((await ask('/healthz'))?.build, one)
  const two = await publish('two')
  const second = await conduct('release', two, '--yes')
  assert.equal(second.code, 0, second.out)
  const page = await ask('/page')
  assert.deepEqual([page?.a, page?.b, page?.build], ['two', 'two', two])
  await until('systemctl status says where it stands', async () =>
    (await host.property(PULLER, 'StatusText')).includes(`runs ${two}`),
  )
  const owner = await host.must('stat', '-c', '%U', '/srv/web/hot/build.txt')
  assert.equal(owner.trim(), 'hotcold')

  await host.reboot()
  await started('active', 0)
  assert.match(await host.property(PULLER, 'StatusText'), /follows|runs/)
  await host.must('systemctl', 'start', 'web')
  await until('the application serves what it served', async () => (await ask('/healthz'))?.build === two)
})

test('D1, D6: a puller that is killed comes back, hot stays, and the next release goes through', async (t) => {
  const { host, conduct, publish, ask, started, status } = await installedHost(t, 'crash')
  await started('active', 0)
  const [one, two] = [await publish('one'), await publish('two')]
  await conduct('init')
  assert.equal((await conduct('release', one, '--yes')).code, 0)
  for (let times = 1; times <= 5; times += 1) {
    await host.must('systemctl', 'kill', '-s', 'KILL', '--kill-who=main', PULLER)
    await started('active', times)
    assert.equal((await status()).hot, one)
    assert.equal((await ask('/healthz'))?.build, one)
  }
  const after = await conduct('release', two, '--yes')
  assert.equal(after.code, 0, after.out)
  assert.equal((await ask('/healthz'))?.build, two)
})

test('D8: a puller that hangs is killed by the watchdog and started anew', async (t) => {
  const { host, started, status } = await installedHost(t, 'watchdog')
  host.write(`/etc/systemd/system/${PULLER}.d/quick.conf`, '[Service]\nWatchdogSec=3\n')
  await host.must('systemctl', 'daemon-reload')
  await host.must('systemctl', 'restart', PULLER)
  await started('active', 0)
  await until('the watchdog has heard of it', async () => (await host.property(PULLER, 'StatusText')).includes('runs'))
  const before = await host.property(PULLER, 'MainPID')
  await host.must('kill', '-STOP', before)
  await started('active', 1)
  assert.notEqual(await host.property(PULLER, 'MainPID'), before)
  assert.match(await host.must('journalctl', '--no-pager', '-u', PULLER), /Watchdog timeout/)
  assert.equal((await status()).phase, 'idle')
})

test('a stop in the middle of a deploy leaves the node serving, and the next start goes on with it', async (t) => {
  const { host, conduct, publish, ask, started, status } = await installedHost(t, 'stop')
  await started('active', 0)
  const [one, two] = [await publish('one'), await publish('two')]
  await conduct('init')
  assert.equal((await conduct('release', one, '--yes')).code, 0)
  const held = ask('/hold')
  await until('a request is in flight', async () => Number((await ask('/active'))?.active) === 1)
  const release = conduct('release', two, '--yes')
  await until('the node drains', async () => (await status()).phase === 'draining')
  await host.must('systemctl', 'stop', PULLER)
  assert.equal(await host.property(PULLER, 'Result'), 'success')
  assert.deepEqual([(await status()).hot, (await ask('/healthz'))?.build], [one, one])
  await ask('/release')
  assert.equal((await held)?.build, one)
  await host.must('systemctl', 'start', PULLER)
  const ended = await release
  assert.equal(ended.code, 0, ended.out)
  assert.equal((await ask('/healthz'))?.build, two)
})

test('the conductor starts at boot, leads, comes back after a kill, and releases go through it', async (t) => {
  const conductor = 'hotcold-conductor.service'
  const { host, conduct, publish, ask, started } = await installedHost(t, 'conductor')
  await started('active', 0)
  await conduct('init')
  await host.must('systemctl', 'enable', conductor)
  await host.reboot()
  const leads = (restarts: number) =>
    until(`it leads after ${restarts} restarts`, async () => {
      const [times, state] = [await host.property(conductor, 'NRestarts'), await host.property(conductor, 'StatusText')]
      return Number(times) === restarts && state.startsWith('serves web at 127.0.0.1:9470')
    })
  await leads(0)
  assert.equal(await host.property(conductor, 'User'), 'hotcold-conductor')
  const one = await publish('one')
  const first = await conduct('release', one, '--yes')
  assert.equal(first.code, 0, first.out)
  assert.equal((await ask('/healthz'))?.build, one)
  assert.match((await conduct('history')).out, /hotcold-conductor/)
  await host.must('systemctl', 'kill', '-s', 'KILL', '--kill-who=main', conductor)
  await leads(1)
  const two = await publish('two')
  const second = await conduct('release', two, '--yes')
  assert.equal(second.code, 0, second.out)
  assert.equal((await ask('/healthz'))?.build, two)
  await host.must('systemctl', 'stop', conductor)
  assert.equal(await host.property(conductor, 'Result'), 'success')
})

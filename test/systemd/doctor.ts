// Owns the proof of `conduct doctor` on a booted machine: units, secrets, rules and the user of a unit as systemd and the disk have them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finding } from '#conductor/core/finding.ts'
import { installedHost, PULLER } from './scene.ts'

test('conduct doctor finds nothing wrong on a machine installed by the guide, and names each thing that is then broken', async (t) => {
  const { host, conduct, publish, started } = await installedHost(t, 'doctor')
  await started('active', 0)
  await publish('one')
  assert.equal((await conduct('init')).code, 0)
  const doctor = async () => {
    const { code, out } = await conduct('doctor', '--json')
    const { findings } = JSON.parse(out) as { findings: Finding[] }
    const of = (name: string) => findings.filter(({ code, about }) => code === name && about === 'puller web')
    return { code, out, findings, one: (name: string) => of(name)[0] ?? assert.fail(`there is no ${name} in ${out}`) }
  }
  const whole = await doctor()
  const wrong = whole.findings.filter(({ outcome }) => outcome === 'wrong')
  // The conductor is installed there and not started: nothing else is wrong.
  assert.deepEqual(
    wrong.map(({ code, about }) => [code, about]),
    [['unit-state', 'conduct']],
    whole.out,
  )
  for (const code of [
    'unit-state',
    'unit-file',
    'unit-credentials',
    'disk-root',
    'disk-owner',
    'disk-room',
    'config-puller',
  ])
    assert.equal(whole.one(code).outcome, 'ok', `${code}: ${whole.one(code).seen}`)
  for (const code of ['hook-program', 'hook-reload', 'consul-rights', 'consul-watch', 'store-read'])
    assert.equal(whole.one(code).outcome, 'ok', `${code}: ${whole.one(code).seen}`)
  assert.match(whole.one('disk-owner').seen, /^hotcold may write to \/srv\/web/)

  // A unit that does not run has no credentials: the secret that it will get is asked with.
  await host.must('systemctl', 'stop', PULLER)
  const stopped = await doctor()
  assert.match(stopped.one('consul-token').seen, /ACLs are off/)
  assert.equal(stopped.one('consul-rights').outcome, 'ok')
  await host.must('rm', '/etc/credstore/hotcold-web.consul.token', '/etc/polkit-1/rules.d/50-hotcold.rules')
  await host.must('chown', 'root:root', '/srv/web')
  await host.must('chmod', '0600', '/etc/hotcold/puller/web.yaml')
  await host.must('sh', '-c', 'echo "# mine" >> /etc/systemd/system/hotcold-puller@.service')
  await host.must('systemctl', 'daemon-reload')
  const broken = await doctor()
  assert.equal(broken.code, 1)
  const told = (name: string) => `${broken.one(name).outcome}: ${broken.one(name).seen} → ${broken.one(name).todo}`
  assert.match(
    told('unit-state'),
    /^wrong: hotcold-puller@web is inactive → .*systemctl enable --now hotcold-puller@web/,
  )
  assert.match(told('unit-file'), /^warning: .* differs .* → systemd\/install puller@web/)
  assert.match(told('unit-credentials'), /^wrong: \/etc\/credstore\/hotcold-web\.consul\.token is not there/)
  assert.match(told('consul-token'), /^wrong: The token file \/etc\/credstore\/\S+ cannot be read/)
  assert.match(told('hook-reload'), /^warning: No rule of polkit names web\.service/)
  assert.match(told('disk-owner'), /^wrong: hotcold may not write to \/srv\/web → chown -R hotcold \/srv\/web/)
  await host.must('mount', '-t', 'tmpfs', 'none', '/srv/web/trees/b')
  assert.match(
    (await doctor()).one('disk-root').seen,
    /^\/srv\/web\/trees\/b lies on another file system than \/srv\/web/,
  )
  assert.match(told('config-puller'), /^wrong: hotcold may not read \/etc\/hotcold\/puller\/web\.yaml/)
})

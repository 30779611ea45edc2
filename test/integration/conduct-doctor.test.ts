// Owns what `conduct doctor` finds of a desk in order, of a store that refuses, and of configs with mistakes; and that it leaves nothing behind.
import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import { stringify } from 'yaml'
import { startConsul } from '#test/support/consul.ts'
import { desk, held, wrongs } from '#test/support/doctor-desk.ts'
import { listen } from '#test/support/listen.ts'
import { startRgw } from '#test/support/rgw.ts'
import { tmp } from '#test/support/tmp.ts'

test('a desk in order: nothing is wrong, and nothing is left in Consul or in the store', async (t: TestContext) => {
  const consul = await startConsul(t)
  const { dir, conduct, doctor } = await desk(t, {
    app: 'web',
    consul: { url: consul.url },
    store: { url: `file://${await tmp(t, 'store')}` },
    rings: ['staging', 'production'],
  })
  await mkdir(join(dir, 'dist'))
  await writeFile(join(dir, 'dist/index.html'), 'hello')
  assert.equal((await conduct('init')).code, 0)
  assert.equal((await conduct('publish', join(dir, 'dist'), '--build', 'b-one')).code, 0)
  const before = await held(consul)
  const examined = await doctor()
  assert.deepEqual(wrongs(examined), [])
  assert.equal(examined.code, 0)
  for (const code of ['config-file', 'config-rings', 'consul-reach', 'consul-leader', 'consul-version', 'consul-clock'])
    assert.equal(examined.outcome(code), 'ok', code)
  for (const code of ['consul-rights', 'consul-session', 'consul-transaction', 'consul-watch', 'consul-limit'])
    assert.equal(examined.outcome(code), 'ok', code)
  for (const code of ['store-read', 'store-write', 'store-condition', 'unit-node'])
    assert.equal(examined.outcome(code), 'ok', code)
  assert.match(examined.one('consul-version').seen, /version 1\.\d+/)
  assert.equal(examined.outcome('consul-token'), 'warning', 'without ACLs anybody may order')
  assert.deepEqual(await held(consul), before)
  const store = await conduct('builds', '--json')
  assert.match(store.stdout, /b-one/)
  const lines = await conduct('doctor')
  assert.match(lines.stdout, /^Nothing is wrong: \d+ warnings?, \d+ not looked at, \d+ ok\.$/m)
})

test('a bucket that refuses writes: it can be read, and what to give is named', async (t: TestContext) => {
  const s3 = await startRgw(t)
  const consul = await startConsul(t)
  const store = { url: s3.url, endpoint: s3.endpoint }
  const { doctor } = await desk(t, { app: 'web', consul: { url: consul.url }, store })
  const open = await doctor()
  assert.deepEqual([open.outcome('store-write'), open.outcome('store-condition')], ['ok', 'ok'])
  assert.equal(open.outcome('store-clock'), 'ok')
  const deny = { Effect: 'Deny', Principal: '*', Action: ['s3:PutObject'], Resource: [`arn:aws:s3:::${s3.bucket}/*`] }
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [deny] })
  await s3.client.send(new PutBucketPolicyCommand({ Bucket: s3.bucket, Policy }))
  const refused = await doctor()
  assert.equal(refused.outcome('store-write'), 'wrong')
  assert.match(refused.one('store-write').seen, /AccessDenied, HTTP 403/)
  assert.match(refused.one('store-write').todo ?? '', /give credentials that may read and list/)
  assert.equal(refused.outcome('store-condition'), 'unseen')
})

test('mistakes in schedule, gates, programs and pullers are told one by one, each with its file', async (t: TestContext) => {
  const consul = await startConsul(t)
  const busy = await listen(
    t,
    createServer((_, answer) => void answer.writeHead(503).end()),
  )
  const closed = createServer()
  const nobody = await listen(t, closed)
  closed.close()
  const { dir, doctor } = await desk(t, {
    app: 'web',
    consul: { url: consul.url },
    schedule: 'schedule.yaml',
    plan: [{ ring: 'production', smoke: ['./smoke.sh'] }],
    afterRollout: ['./after.sh'],
    gates: [
      { name: 'page', http: `http://${busy}/ready` },
      { name: 'errors', prometheus: `http://${nobody}`, query: 'up', max: 1 },
    ],
  })
  await writeFile(join(dir, 'schedule.yaml'), 'timezone: UTC\nwindw: { from: "09:00" }\n')
  await writeFile(join(dir, 'smoke.sh'), '#!/bin/sh\n')
  const [real, linked, hook] = [join(dir, 'real'), join(dir, 'linked'), join(dir, 'hook.sh')]
  await mkdir(real)
  await symlink(real, linked)
  await writeFile(hook, '#!/bin/sh\n')
  const puller = {
    ...{ app: 'web', ring: 'production', node: 'n1', root: linked, store: { url: 'file:///srv/builds' } },
    ...{ consul: { url: consul.url }, hooks: { afterSwap: [hook] }, verify: { command: ['no-such-program'] } },
  }
  await writeFile(join(dir, 'one.yaml'), stringify(puller))
  await writeFile(join(dir, 'two.yaml'), stringify({ ...puller, rot: real, root: real }))
  const examined = await doctor('--puller', 'one.yaml', '--puller', 'two.yaml')
  assert.equal(examined.code, 1)
  assert.match(examined.one('config-schedule').seen, /schedule\.yaml:2: unknown key "windw", did you mean "window"\?/)
  assert.deepEqual(
    [examined.outcome('config-gate', 'gate page'), examined.outcome('config-gate', 'gate errors')],
    ['warning', 'wrong'],
  )
  const commands = examined.findings.filter(({ code }) => code === 'config-command').map(({ seen }) => seen)
  assert.match(
    commands.join('\n'),
    /smoke test of production: \S+smoke\.sh may not be executed\nafterRollout: \.\/after\.sh is nowhere to be found/,
  )
  assert.equal(examined.outcome('config-rings'), 'wrong')
  assert.equal(examined.one('config-rings').todo, 'conduct init')
  assert.equal(examined.outcome('config-puller', 'puller one'), 'ok')
  assert.match(
    examined.one('config-puller', 'puller two').seen,
    /two\.yaml:\d+: unknown key "rot", did you mean "root"\?/,
  )
  assert.match(examined.one('disk-root', 'puller one').seen, /linked is a symbolic link/)
  assert.equal(examined.outcome('disk-root', 'puller two'), 'ok')
  const hooks = examined.findings.filter(({ code, about }) => code === 'hook-program' && about === 'puller one')
  assert.match(
    hooks.map(({ seen }) => seen).join('\n'),
    /afterSwap: \S+hook\.sh may not be executed\nverify: no-such-program is nowhere/,
  )
  await chmod(hook, 0o755)
  const mended = (await doctor('--puller', 'one.yaml')).findings.filter(({ code }) => code === 'hook-program')
  assert.deepEqual(
    mended.map(({ seen }) => seen),
    ['verify: no-such-program is nowhere to be found'],
  )
  assert.equal(await readFile(join(dir, 'schedule.yaml'), 'utf8'), 'timezone: UTC\nwindw: { from: "09:00" }\n')
})

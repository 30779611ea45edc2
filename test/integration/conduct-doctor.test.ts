// Owns `conduct doctor` on real Consul, real stores and real config files: what it finds, what it says to do, and that it leaves nothing behind.
import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import { stringify } from 'yaml'
import type { Finding } from '#conductor/core/finding.ts'
import { run, type Said } from '#test/support/conducting.ts'
import { type ConsulServer, startCluster, startConsul } from '#test/support/consul.ts'
import { listen } from '#test/support/listen.ts'
import { startRgw } from '#test/support/rgw.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

interface Examined extends Said {
  readonly findings: readonly Finding[]
  /** `outcome` of a code; of `about` where it is told. */
  outcome(code: string, about?: string): string | undefined
  one(code: string, about?: string): Finding
}

/** A folder with configs, and `conduct doctor --json` in it. */
async function desk(t: TestContext, config: object | string) {
  const dir = await tmp(t, 'doctor')
  const file = join(dir, 'hotcold.yaml')
  const write = (value: object | string) => writeFile(file, typeof value === 'string' ? value : stringify(value))
  await write(config)
  const PATH = process.env.PATH ?? ''
  const conduct = (...argv: readonly string[]) => run(argv, { PATH, HOME: dir }, dir).end
  const doctor = async (...argv: readonly string[]): Promise<Examined> => {
    const said = await conduct('doctor', '--json', ...argv)
    const { findings } = JSON.parse(said.stdout) as { findings: Finding[] }
    const found = (code: string, about?: string) =>
      findings.find((one) => one.code === code && (about === undefined || one.about === about))
    return {
      ...said,
      findings,
      outcome: (code, about) => found(code, about)?.outcome,
      one: (code, about) => found(code, about) ?? assert.fail(`there is no ${code} in ${said.stdout}`),
    }
  }
  return { dir, file, write, conduct, doctor }
}

const wrongs = ({ findings }: Examined) =>
  findings.filter(({ outcome }) => outcome === 'wrong').map(({ code, about }) => `${code} of ${about}`)

/** Everything that Consul holds of us. */
async function held({ url, token }: ConsulServer) {
  const headers: Record<string, string> = token === null ? {} : { 'X-Consul-Token': token }
  const [keys, sessions] = await Promise.all(
    ['kv/?keys', 'session/list'].map(async (path) => (await fetch(`${url}/v1/${path}`, { headers })).text()),
  )
  return { keys, sessions }
}

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

test('A8: a Consul that is mute and a config with a mistake: each is told, and the rest is looked at all the same', async (t: TestContext) => {
  const consul = await startConsul(t)
  const store = await tmp(t, 'store')
  const { file, doctor } = await desk(
    t,
    `app: web\nmaxUnavailble: 10%\nconsul: { url: "${consul.url}", tokenfile: /x }\nstore: { url: "file://${store}" }\n`,
  )
  await consul.pause()
  const examined = await doctor()
  assert.equal(examined.code, 1)
  const { seen, todo } = examined.one('config-file')
  assert.match(seen, /hotcold\.yaml:2: unknown key "maxUnavailble", did you mean "maxUnavailable"\?/)
  assert.match(seen, /hotcold\.yaml:3: unknown key "tokenfile", did you mean "tokenFile"\?/)
  assert.match(todo ?? '', new RegExp(`edit ${file}`))
  assert.equal(examined.outcome('consul-reach'), 'wrong')
  assert.match(examined.one('consul-reach').seen, /no answer within 3 s/)
  for (const code of ['consul-leader', 'consul-rights', 'consul-session', 'consul-watch', 'config-rings'])
    assert.deepEqual([examined.outcome(code), examined.one(code).seen], ['unseen', 'Consul did not answer'])
  assert.deepEqual([examined.outcome('store-write'), examined.outcome('store-condition')], ['ok', 'ok'])
  assert.equal(examined.outcome('unit-node'), 'ok')
})

test('A2: a Consul that has lost its leader is told apart from one that does not answer', async (t: TestContext) => {
  const { servers, leader } = await startCluster(t)
  const [one, ...others] = servers
  assert.ok(one)
  const { doctor } = await desk(t, { app: 'web', consul: { url: one.url }, rings: ['production'] })
  await Promise.all(others.map((other) => other.kill()))
  await until('nobody leads', async () => (await leader()) === null, 20_000)
  const examined = await doctor()
  assert.deepEqual([examined.outcome('consul-reach'), examined.outcome('consul-leader')], ['ok', 'wrong'])
  assert.match(examined.one('consul-leader').todo ?? '', /consul operator raft list-peers/)
  assert.deepEqual(
    [examined.outcome('consul-rights'), examined.one('consul-rights').seen],
    ['unseen', 'Consul has no leader'],
  )
})

test('A13: a token without rights: each right that is missing is named as the line of a policy, and with those lines nothing is wrong', async (t: TestContext) => {
  const consul = await startConsul(t, { acl: true })
  const { dir, write, conduct, doctor } = await desk(t, '')
  const configFor = async (name: string, rules: string) => {
    const tokenFile = join(dir, name)
    await writeFile(tokenFile, await consul.tokenFor(rules))
    await write({ app: 'web', consul: { url: consul.url, tokenFile }, rings: ['production'] })
  }
  await configFor('reader', 'key_prefix "hotcold/v1/" { policy = "read" }')
  const denied = await doctor()
  assert.equal(denied.code, 1)
  const { seen, todo } = denied.one('consul-rights')
  assert.match(seen, /may not write hotcold\/v1\/web\/production\/target, nor \d+ more/)
  assert.match(todo ?? '', /key_prefix "hotcold\/v1\/web\/" \{ policy = "write" \}/)
  assert.equal(denied.outcome('consul-session'), 'wrong')
  assert.match(denied.one('consul-session').todo ?? '', /session_prefix "" \{ policy = "write" \}/)
  assert.equal(denied.outcome('consul-version'), 'unseen', 'the agent may not be asked, which is not needed')

  const lines = [denied.one('consul-rights').todo, denied.one('consul-session').todo]
    .map((line) => (line ?? '').replace('add to the policy of the token: ', ''))
    .join('\n')
  await configFor('writer', lines)
  assert.equal((await conduct('init')).code, 0)
  const before = await held(consul)
  const allowed = await doctor()
  assert.deepEqual(wrongs(allowed), [])
  for (const code of ['consul-rights', 'consul-session', 'consul-transaction', 'config-rings'])
    assert.equal(allowed.outcome(code), 'ok', code)
  assert.deepEqual(await held(consul), before)

  // All but one kind of key: the others being allowed hides nothing.
  await configFor('nearly', `${lines}\nkey "hotcold/v1/web/hold" { policy = "read" }`)
  assert.match((await doctor()).one('consul-rights').seen, /may not write hotcold\/v1\/web\/hold$/)

  await writeFile(join(dir, 'nearly'), '00000000-0000-0000-0000-000000000000')
  const unknown = await doctor()
  assert.equal(unknown.outcome('consul-token'), 'wrong', 'Consul does not know it')
  await write({ app: 'web', consul: { url: consul.url, tokenFile: join(dir, 'gone') } })
  assert.match((await doctor()).one('consul-token').seen, /gone cannot be read \(ENOENT\)/)
})

test('a puller is asked for its own rights alone: with the least policy nothing is wrong, without its status key that is named', async (t: TestContext) => {
  const consul = await startConsul(t, { acl: true })
  const { dir, doctor } = await desk(t, { app: 'web', consul: { url: consul.url, token: consul.token } })
  const [root, store, tokenFile] = [join(dir, 'root'), await tmp(t, 'store'), join(dir, 'token')]
  await mkdir(join(root, 'trees'), { recursive: true })
  const file = join(dir, 'web.yaml')
  const puller = { app: 'web', ring: 'production', node: 'web-7', root, consul: { url: consul.url, tokenFile } }
  await writeFile(file, stringify({ ...puller, store: { url: `file://${store}` } }))
  const base = 'hotcold/v1/web'
  const least = `key "${base}/production/target" { policy = "read" }
    key "${base}/production/pins/web-7" { policy = "read" }
    key_prefix "${base}/builds/" { policy = "read" }
    session_prefix "" { policy = "write" }`
  await writeFile(tokenFile, await consul.tokenFor(least))
  const mute = await doctor('--puller', file)
  assert.deepEqual(mute.one('consul-rights', 'puller web').outcome, 'wrong')
  const line = `key "${base}/production/nodes/web-7" { policy = "write" }`
  assert.match(mute.one('consul-rights', 'puller web').todo ?? '', new RegExp(`: ${line.replace(/[{}]/g, '\\$&')}$`))
  await writeFile(tokenFile, await consul.tokenFor(`${least}\n${line}`))
  const right = await doctor('--puller', file)
  assert.deepEqual(
    right.findings.filter(({ about, outcome }) => about === 'puller web' && outcome === 'wrong'),
    [],
  )
  for (const code of ['config-puller', 'consul-rights', 'consul-session', 'consul-watch', 'disk-root', 'disk-owner'])
    assert.equal(right.outcome(code, 'puller web'), 'ok', code)
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

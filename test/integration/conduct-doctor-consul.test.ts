// Owns what `conduct doctor` finds of real Consul: mute, leaderless, behind a proxy, and with too few rights.
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { stringify } from 'yaml'
import { startCluster, startConsul } from '#test/support/consul.ts'
import { desk, held, wrongs } from '#test/support/doctor-desk.ts'
import { listen } from '#test/support/listen.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

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
  const tokenless = await doctor()
  assert.match(tokenless.one('consul-token').seen, /gone cannot be read \(ENOENT\)/)
  assert.deepEqual([tokenless.outcome('consul-reach'), tokenless.outcome('consul-rights')], ['ok', 'unseen'])
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

test('A5: a proxy before Consul that drops what makes a query wait, or its index, is told from the agent itself', async (t: TestContext) => {
  const consul = await startConsul(t)
  let drops: 'index' | 'header' = 'index'
  const proxy = createServer((request, answer) => {
    const url = new URL(request.url ?? '/', consul.url)
    if (drops === 'index') url.searchParams.delete('index')
    const body = request.method === 'GET' ? {} : { body: request, duplex: 'half' as const }
    fetch(url, { method: request.method ?? 'GET', ...body }).then(
      async (from) => {
        const kept = [...from.headers].filter(([name]) => /^(content-type|date|x-consul-index)$/.test(name))
        const headers = kept.filter(([name]) => drops === 'index' || name !== 'x-consul-index')
        answer.writeHead(from.status, Object.fromEntries(headers)).end(Buffer.from(await from.arrayBuffer()))
      },
      () => answer.destroy(),
    )
  })
  const { conduct, doctor } = await desk(t, { app: 'web', consul: { url: `http://${await listen(t, proxy)}` } })
  assert.equal((await conduct('init')).code, 0)
  const polling = await doctor()
  assert.equal(polling.outcome('consul-transaction'), 'ok', 'the proxy passes on all else')
  assert.match(polling.one('consul-watch').seen, /was to wait 400 ms was answered after \d+ ms, with nothing new/)
  drops = 'header'
  assert.match((await doctor()).one('consul-watch').seen, /without X-Consul-Index/)
  assert.equal((await doctor('--consul', consul.url)).outcome('consul-watch'), 'ok')
})

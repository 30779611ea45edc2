// Owns the stories of a Consul that is away or says no: what runs goes on running, and the order is taken when there is one again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startConsul } from '#test/support/consul.ts'
import { startStory } from '#test/support/story.ts'
import { until } from '#test/support/until.ts'

test('A17: with Consul away at its start a puller serves what is hot, says so, and takes the order when Consul is back', async (t) => {
  const consul = await startConsul(t, { persistent: true })
  const story = await startStory(t, { onConsul: consul })
  await story.begin('build-a')
  await story.publish('build-b')
  await story.node.stop('SIGTERM')
  await consul.stop()
  story.node.start()
  await until('the log tells that Consul does not answer', async () =>
    (await story.node.log()).includes('"CONSUL_UNREACHABLE"'),
  )
  assert.equal(await story.node.hot(), 'build-a')
  await consul.start()
  await until('the node is not silent', async () => {
    const view = await story.fleet.status()
    return view.rings[0]?.nodes[0]?.silent === false
  })
  const said = await story.release('build-b')
  assert.equal(said.code, 0, said.stderr)
  await story.served('build-b')
  assert.deepEqual(story.seen().builds, ['build-a', 'build-b'])
  assert.deepEqual(story.seen().failures, [])
})

test('A13: a token that Consul refuses is told in the log; a new token in the file is picked up without a restart', async (t) => {
  const { writeFileSync } = await import('node:fs')
  const { join } = await import('node:path')
  const { tmp } = await import('#test/support/tmp.ts')
  const consul = await startConsul(t, { acl: true })
  const tokens = await tmp(t, 'token')
  const [conductor, puller] = [join(tokens, 'conductor'), join(tokens, 'puller')]
  writeFileSync(conductor, `${consul.token}\n`)
  const rules = 'key_prefix "hotcold/v1/" { policy = "write" } session_prefix "" { policy = "write" }'
  writeFileSync(puller, `${await consul.tokenFor(rules)}\n`)
  const story = await startStory(t, {
    onConsul: consul,
    conductor: { consul: { url: consul.url, tokenFile: conductor } },
    puller: () => ({ consul: { url: consul.url, tokenFile: puller } }),
  })
  await story.begin('build-a')
  await story.publish('build-b')
  writeFileSync(puller, 'deadbeef-0000-0000-0000-000000000000\n')
  // The query in flight still answers (failures A14): the next order is the first thing that meets the new token.
  const releasing = story.release('build-b')
  await until('the log tells of the refused token', async () => (await story.node.log()).includes('"CONSUL_DENIED"'))
  assert.deepEqual(story.seen().failures, [])
  writeFileSync(puller, `${await consul.tokenFor(rules)}\n`)
  const said = await releasing
  assert.equal(said.code, 0, said.stderr)
  await story.served('build-b')
  assert.deepEqual(story.seen().failures, [])
})

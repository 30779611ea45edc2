// Owns the proof that the embedded agent works as a process of its own and for the real `consul` command line.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test, { type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { startAgent } from '#adapters/consul/agent/agent.ts'
import { mortal } from '#test/support/child.ts'
import { CONSUL_BINARY, consulWorlds } from '#test/support/consul.ts'
import { rawConsul } from '#test/support/raw-http.ts'

const MAIN = join(import.meta.dirname, '../../adapters/consul/agent/main.ts')

test('started as a process it says where it listens, serves, and ends on SIGTERM with exit 0', async (t: TestContext) => {
  const child = spawn(...mortal(process.execPath, MAIN, '--port', '0'), { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const [url] = await once(createInterface(child.stdout), 'line')
  const consul = rawConsul(url)
  await consul.put('a', 'x')
  assert.equal((await consul.get('a?raw')).text, 'x')
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
})

test('A16: an agent that ends answers those who wait with the index they know, not with an error', async () => {
  const agent = await startAgent()
  const consul = rawConsul(agent.url)
  await consul.put('a', 'x')
  const { index } = await consul.get('a')
  const waiting = consul.get(`a?index=${index}&wait=60s`)
  await consul.get('a')
  await agent.close()
  const answer = await waiting
  assert.deepEqual([answer.status, answer.index], [200, index])
})

test('a port that is taken is an error with a code', async (t: TestContext) => {
  const first = await startAgent()
  t.after(() => first.close())
  await assert.rejects(startAgent({ port: Number(new URL(first.url).port) }), { code: 'CONSUL_UNREACHABLE' })
})

for (const world of consulWorlds()) {
  test(`${world.name}: the consul command line reads, writes, compares, deletes and locks`, async (t: TestContext) => {
    const { url } = await world.start(t)
    const env = { ...process.env, CONSUL_HTTP_ADDR: url }
    const consul = (...args: readonly string[]) => promisify(execFile)(CONSUL_BINARY, args, { env })
    await consul('kv', 'put', 'hotcold/v1/web/production/target', '20261122T144001-9be01d2')
    assert.equal((await consul('kv', 'get', 'hotcold/v1/web/production/target')).stdout, '20261122T144001-9be01d2\n')
    assert.equal((await consul('kv', 'get', '-keys', 'hotcold/v1/web/')).stdout, 'hotcold/v1/web/production/\n')
    await assert.rejects(consul('kv', 'put', '-cas', '-modify-index=1', 'hotcold/v1/web/production/target', 'x'))
    assert.match((await consul('lock', 'lk', 'echo', 'held')).stdout, /held/)
    await consul('kv', 'delete', '-recurse', 'hotcold/')
    await assert.rejects(consul('kv', 'get', 'hotcold/v1/web/production/target'), /No key exists/)
  })
}

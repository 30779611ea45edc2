// Owns the proof of the daemon's HTTP interface on a real Consul: every documented path, whom it answers, and what it says when Consul is away.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { PATHS } from '#conductor/web/routes.ts'
import { conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, B } from '#test/support/rollout-sim.ts'
import { serving } from '#test/support/serving.ts'
import { readText } from '#test/support/source.ts'
import { onA } from '#test/support/steering.ts'
import { until } from '#test/support/until.ts'

/** By plain HTTP: fetch() lets nobody choose a Host or a method that it does not like. */
function raw(address: string, options: { method?: string; path: string; host?: string }) {
  const [hostname, port] = address.split(':')
  return new Promise<{ code: number; headers: NodeJS.Dict<string | string[]>; text: string }>((resolve, reject) => {
    const { method = 'GET', path, host } = options
    const sent = request(
      { hostname, port, method, path, ...(host !== undefined && { headers: { host } }) },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        answer.on('end', () => resolve({ code: answer.statusCode ?? 0, headers: answer.headers, text }))
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}

test('every documented path answers, and says what the command line says', async (t) => {
  const fleet = await onA(t, 3)
  const daemon = await serving(t, fleet)
  await daemon.leads()
  const documented = [...readText('docs/api.md').matchAll(/^\| `(\/\S+)` \|/gm)].map(([, path]) => path ?? '')
  assert.deepEqual(documented.toSorted(), Object.keys(PATHS).toSorted())
  await until('it is ready', async () => (await daemon.get('/readyz')).status === 200)
  for (const path of documented) {
    const answer = await daemon.get(path)
    assert.equal(answer.status, 200, path)
    assert.equal(answer.headers.get('access-control-allow-origin'), null)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    await answer.body?.cancel()
  }

  assert.equal((await fleet.conduct('release', B)).code, 0)
  const same = async (path: string, ...argv: readonly string[]) => {
    const said = JSON.parse((await fleet.conduct(...argv, '--json')).stdout) as unknown
    await until(`${path} says the same`, async () => {
      assert.deepEqual(await daemon.json(path), said)
      return true
    })
  }
  await same('/api/v1/status', 'status')
  await same('/api/v1/why', 'why')
  await same('/api/v1/why?node=production-2', 'why', 'production-2')
  await same('/api/v1/history?limit=5', 'history', '--limit', '5')
  await same(`/api/v1/history?limit=5&build=${A}`, 'history', '--limit', '5', '--build', A)

  const metrics = await (await daemon.get('/metrics')).text()
  assert.match(metrics, /^conductor_leading\{app="web"\} 1$/m)
  assert.match(metrics, /^conductor_view_age_seconds\{app="web"\} \d/m)
  const { alive, leads } = {
    ...(await daemon.json<{ alive: boolean }>('/healthz')),
    ...(await daemon.json<{ leads: boolean }>('/readyz')),
  }
  assert.deepEqual([alive, leads], [true, true])
})

test('it answers those who call it by a name that is its own, reads only, and says what is wrong with a question', async (t) => {
  const fleet = await onA(t, 1)
  const { address } = await serving(t, fleet)
  const codeOf = ({ text }: { text: string }) => (JSON.parse(text) as { error: { code: string } }).error.code
  for (const host of [
    'evil.example.com',
    'evil.example.com:9470',
    '127.0.0.1.evil.example.com',
    'localhost.evil.example',
  ]) {
    const answer = await raw(address, { path: '/api/v1/status', host })
    assert.equal(answer.code, 421, host)
    assert.equal(codeOf(answer), 'host-unknown')
  }
  for (const host of ['localhost:1', '127.0.0.1', '[::1]:80', '10.1.2.3'])
    assert.equal((await raw(address, { path: '/api/v1/status', host })).code, 200, host)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const answer = await raw(address, { method, path: '/api/v1/status' })
    assert.deepEqual([answer.code, answer.headers.allow], [405, 'GET, HEAD'], method)
  }
  const head = await raw(address, { method: 'HEAD', path: '/api/v1/status' })
  assert.deepEqual([head.code, head.text], [200, ''])
  for (const [path, code, name] of [
    ['/api/v1/nothing', 404, 'not-found'],
    ['/constructor', 404, 'not-found'],
    ['//evil.example.com/healthz', 404, 'not-found'],
    ['/api/v1/why?node=nobody', 404, 'NODE_UNKNOWN'],
    ['/api/v1/history?limit=0', 400, 'USAGE'],
    ['/api/v1/history?limit=100000', 400, 'USAGE'],
    ['/api/v1/history?at=soon', 400, 'USAGE'],
    ['/api/v1/history?ring=../x', 400, 'NAME_INVALID'],
  ] as const) {
    const answer = await raw(address, { path })
    assert.deepEqual([answer.code, codeOf(answer)], [code, name], path)
  }
})

test('a name of serve.hosts is its own too; a port that is taken ends it with what to mend', async (t) => {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 1, config: { serve: { hosts: ['deploy.internal'] } } })
  const { address } = await serving(t, fleet)
  assert.equal((await raw(address, { path: '/healthz', host: 'Deploy.Internal:9470' })).code, 200)
  assert.equal((await raw(address, { path: '/healthz', host: 'other.internal' })).code, 421)
  const second = await fleet.conduct('serve', '--listen', address)
  assert.equal(second.code, 2)
  assert.match(
    second.stderr,
    /cannot listen on 127\.0\.0\.1:\d+: somebody listens there already; name another address by --listen/,
  )
  const nonsense = await fleet.conduct('serve', '--listen', 'everywhere')
  assert.equal(nonsense.code, 2)
  assert.match(nonsense.stderr, /"everywhere" is no address:port/)
})

test('A1: Consul is gone: the daemon is alive and not ready, says why, and is ready again when it is back', async (t) => {
  const consul = await startConsul(t, { persistent: true })
  const fleet = await conducting(t, { url: consul.url, nodes: 1 })
  const daemon = await serving(t, fleet)
  await until('it is ready', async () => (await daemon.get('/readyz')).status === 200)
  await consul.kill()
  const away = await until('it is not ready', async () => {
    const answer = await daemon.get('/readyz')
    return answer.status === 503 ? ((await answer.json()) as { ready: boolean; reason: string }) : null
  })
  assert.equal(away.ready, false)
  assert.match(away.reason, /refuses connections|closed the connection|no leader/)
  assert.equal((await daemon.get('/healthz')).status, 200)
  const asked = await daemon.get('/api/v1/status')
  assert.equal(asked.status, 503)
  assert.match(((await asked.json()) as { error: { code: string } }).error.code, /^CONSUL_/)
  await consul.start()
  await until('it is ready again', async () => (await daemon.get('/readyz')).status === 200)
})

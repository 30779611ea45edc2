// Owns the proof of the command line itself: exit codes, help, suggestions, JSON, where words go, and a world that does not answer.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { startAgent } from '#adapters/consul/agent/agent.ts'
import { conducting, run } from '#test/support/conducting.ts'
import { A } from '#test/support/rollout-sim.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

const conduct = (...argv: readonly string[]) => run(argv).end

test('a misspelt verb or option is answered with the likely one, exit 2', async () => {
  const verb = await conduct('relase')
  assert.equal(verb.code, 2)
  assert.match(verb.stderr, /unknown command 'relase'\n\(Did you mean release\?\)/)
  assert.equal(verb.stdout, '')
  const option = await conduct('rollback', '--nwo')
  assert.equal(option.code, 2)
  assert.match(option.stderr, /unknown option '--nwo'\n\(Did you mean --now\?\)/)
  assert.equal((await conduct('release', '--timeout', 'soon')).code, 2)
  assert.equal((await conduct()).code, 2)
})

test('help is a result: on stdout, exit 0, with the exit codes and an example', async () => {
  const all = await conduct('--help')
  assert.equal(all.code, 0)
  for (const verb of ['init', 'publish', 'builds', 'release', 'rollback', 'status', 'watch', 'history', 'demo']) {
    assert.match(all.stdout, new RegExp(`^ {2}${verb} `, 'm'))
  }
  assert.match(all.stdout, /Exit codes: 0 done · 1 failed or rolled back · 2 usage · 3 refused by policy · 4 the world/)
  const one = await conduct('rollback', '--help')
  assert.equal(one.code, 0)
  assert.match(one.stdout, /conduct rollback --now/)
})

test('names are checked before anything is asked of Consul', async () => {
  const app = await conduct('status', '--app', 'Web/../x')
  assert.equal(app.code, 2)
  assert.match(app.stderr, /--app "Web\/\.\.\/x" is not a name/)
  const ring = await conduct('init', '--app', 'web', '--ring', 'history')
  assert.equal(ring.code, 2)
  assert.match(ring.stderr, /a ring cannot be called history/)
  const build = await conduct('release', '../../etc', '--app', 'web', '--consul', 'http://127.0.0.1:1')
  assert.equal(build.code, 2, 'H3')
  assert.match(build.stderr, /"\.\.\/\.\.\/etc" is not a build id/)
})

test('without a config and without --app it says what is missing; a config error names line and key', async (t) => {
  const dir = await tmp(t, 'conduct')
  const none = await run(['status'], {}, dir).end
  assert.equal(none.code, 2)
  assert.match(
    none.stderr,
    /No configuration was found: there is no config file .*hotcold\.yaml.* and no --app is given/,
  )
  await writeFile(join(dir, 'hotcold.yaml'), 'app: web\nmaxUnavailable: 33%\nfailureBugdet: 10%\n')
  const typo = await run(['status'], {}, dir).end
  assert.equal(typo.code, 2)
  assert.match(typo.stderr, /hotcold\.yaml:3: unknown key "failureBugdet", did you mean "failureBudget"\?/)
  await writeFile(join(dir, 'hotcold.yaml'), 'app: web\nmaxUnavailable: 133%\n')
  assert.match((await run(['status'], {}, dir).end).stderr, /hotcold\.yaml:2: "maxUnavailable": must be 0% to 100%/)
})

test('the whole sample config of the protocol is read, and a schedule that is not there is said', async (t) => {
  const dir = await tmp(t, 'conduct')
  const agent = await startAgent()
  t.after(() => agent.close())
  await writeFile(
    join(dir, 'hotcold.yaml'),
    `app: web
consul: { url: "${agent.url}" }
store: { url: "s3://builds/web" }
plan:
  - { ring: staging, smoke: [./smoke.sh] }
  - { ring: production, shares: [10, 25, 50, 75, 100], soakSeconds: 60 }
maxUnavailable: 33%
failureBudget: 10%
gates: [ { name: errors, prometheus: "http://127.0.0.1:9090", query: "x", max: 0.01 } ]
schedule: schedule.yaml
`,
  )
  const created = await run(['init'], {}, dir).end
  assert.equal(created.code, 0, created.stderr)
  assert.equal(created.stdout, 'Created web/staging and web/production.\n')
  assert.match((await run(['init'], {}, dir).end).stdout, /are there already: nothing was changed/)
  const released = await run(['release'], {}, dir).end
  assert.equal(released.code, 2)
  assert.match(released.stderr, /there is no schedule file .*schedule\.yaml/)
})

test('a Consul that is away is exit 4, and so is a proxy that answers with a page', async (t) => {
  const away = await conduct('status', '--app', 'web', '--consul', 'http://127.0.0.1:1')
  assert.equal(away.code, 4)
  assert.match(away.stderr, /^Consul did not answer: /)
  const proxy = createServer((_request, response) => response.end('<html>login</html>')).listen(0, '127.0.0.1')
  t.after(() => proxy.close())
  await until('it listens', () => proxy.listening)
  const { port } = proxy.address() as AddressInfo
  const page = await conduct('status', '--app', 'web', '--consul', `http://127.0.0.1:${port}`)
  assert.equal(page.code, 4, 'A11: a page is no deleted key')
  assert.match(page.stderr, /Try: look for a proxy between here and Consul/)
})

test('--json is one document on stdout for every reading verb, errors too', async (t) => {
  const agent = await startAgent()
  t.after(() => agent.close())
  const fleet = await conducting(t, { url: agent.url, nodes: 2 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('2 nodes'))
  const json = async (...argv: readonly string[]) => {
    const said = await fleet.conduct(...argv, '--json')
    return { code: said.code, document: JSON.parse(said.stdout) as Record<string, unknown> }
  }
  const released = await json('release')
  assert.equal(released.code, 0)
  assert.deepEqual(Object.keys(released.document), ['app', 'rings', 'rollout', 'lease', 'holds', 'result'])
  const { document: status } = await json('status')
  const ring = (status.rings as Record<string, unknown>[])[0]
  assert.deepEqual(Object.keys((ring?.counts ?? {}) as object).sort(), [
    'converged',
    'failed',
    'silent',
    'staged',
    'total',
    'working',
  ])
  const [node] = (ring?.nodes ?? []) as Record<string, unknown>[]
  for (const key of ['node', 'phase', 'hot', 'cold', 'generation', 'refusal', 'silent'])
    assert.ok(key in (node ?? {}), key)
  const rollout = status.rollout as Record<string, unknown>
  for (const key of ['id', 'build', 'fallback', 'stage', 'phase', 'hold', 'because', 'fallbacks'])
    assert.ok(key in rollout, key)
  assert.deepEqual(Object.keys((await json('builds')).document), ['app', 'builds'])
  assert.deepEqual(Object.keys((await json('history')).document), ['app', 'history'])
  const unknown = await json('release', 'nope')
  assert.equal(unknown.code, 3)
  assert.deepEqual(unknown.document.error, {
    code: 'BUILD_UNKNOWN',
    title: 'No such build is published',
    message: 'nope is not in the catalog of web',
    fix: 'conduct builds',
  })
})

test('watch shows a line per change on a pipe, and Ctrl-C is its normal end', async (t) => {
  const agent = await startAgent()
  t.after(() => agent.close())
  const fleet = await conducting(t, { url: agent.url, nodes: 2 })
  await fleet.publish(A)
  const watching = fleet.start('watch')
  await until('it shows the nodes', () => watching.stdout().includes('2 nodes'))
  assert.equal((await fleet.conduct('release')).code, 0)
  await until('it shows the release', () => watching.stdout().includes('2 converged'))
  watching.interrupt()
  const end = await watching.end
  assert.equal(end.code, 0)
  assert.match(
    end.stdout,
    /production: a-build \(generation 2\); 2 nodes: 2 converged, 0 staged, 0 working, 0 failed, 0 silent/,
  )
})

test('on a terminal the view is redrawn in place with colours; NO_COLOR takes only the colours away', async (t) => {
  const agent = await startAgent()
  t.after(() => agent.close())
  const fleet = await conducting(t, { url: agent.url, nodes: 2 })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.includes('2 nodes'))
  const argv = ['release', '--app', 'web', '--consul', agent.url, '--config', join(fleet.dir, 'hotcold.yaml')]
  const live = await run(argv, {}, '/', { isTTY: true, columns: 100 }).end
  assert.equal(live.code, 0)
  assert.match(live.stderr, /\u001b\[\d+A\u001b\[0J/, 'it goes up and draws again')
  assert.match(live.stderr, /\u001b\[32m█/, 'in colour')
  assert.match(live.stderr, /2 of 2 nodes run it/)
  const plain = await run(['status', '--app', 'web', '--consul', agent.url], { NO_COLOR: '1' }, '/', { isTTY: true })
    .end
  assert.doesNotMatch(plain.stdout, /\u001b/)
  const coloured = await run(['status', '--app', 'web', '--consul', agent.url], {}, '/', { isTTY: true }).end
  assert.match(coloured.stdout, /\u001b\[32m● converged/)
})

test('conduct runs as a file, whatever node the machine has', async () => {
  const file = new URL('../../conductor/conduct', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(file, ['--version'], { env: { PATH: '/usr/bin:/bin' } })
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
})

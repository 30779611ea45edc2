// Owns the proof that only a build that stays healthy, and says who it is, passes: against a real application in a process of its own.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { BuildId } from '#fleet/build.ts'
import { describeError, FleetError } from '#fleet/errors.ts'
import type { HookEnvironment } from '#puller/shell/hooks.ts'
import { type VerifyConfig, verify } from '#puller/shell/probe.ts'
import { recordedLog } from '../support/recorded-log.ts'
import { layHot, startServedApp } from '../support/served-app.ts'
import { tmp } from '../support/tmp.ts'
import { until } from '../support/until.ts'

const B1 = 'b1' as BuildId
const B2 = 'b2' as BuildId

/** For what must fail: the deadline is all it waits for. */
const soon = { timeoutSeconds: 0.7 }

const config: VerifyConfig = {
  healthySeconds: 0.2,
  timeoutSeconds: 20,
  intervalMs: 20,
  identity: { header: 'x-hotcold-build' },
}

/** An application that loaded b1, and a verify for `build`. */
async function world(t: TestContext) {
  const root = await tmp(t, 'verify')
  await layHot(root, 'a', 'b1')
  const app = await startServedApp(t, { root })
  const { log, lines } = recordedLog()
  const prove = (change: Partial<VerifyConfig> = {}, build: BuildId = B1, signal = new AbortController().signal) => {
    const env: HookEnvironment = {
      app: 'web',
      ring: 'production',
      node: 'web-1',
      build,
      previous: null,
      generation: 1,
      rollout: null,
      root,
      phase: 'verifying',
      attempt: 1,
    }
    const settings = { ...config, http: `${app.url}/healthz`, ...change }
    return verify(settings, { build, env }, { clock: systemClock, log }, signal)
  }
  return { root, app, lines, prove }
}

async function failure(running: Promise<unknown>): Promise<FleetError> {
  const error = await running.then(
    () => assert.fail('it passed'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof FleetError, describeError(error))
  return error
}

/** A server of the test's own, for answers that no application gives on purpose. */
async function listen(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`
}

test('a healthy build passes, and not before it was healthy for healthySeconds', async (t: TestContext) => {
  const { prove } = await world(t)
  const { ms } = await prove()
  assert.ok(ms >= 200, `passed after ${ms} ms`)
})

test('F20: a first good answer proves nothing, also with healthySeconds 0', async (t: TestContext) => {
  const { prove } = await world(t)
  const { probes } = await prove({ healthySeconds: 0 })
  assert.equal(probes, 2)
})

test('nothing to prove passes at once', async (t: TestContext) => {
  const { prove } = await world(t)
  assert.deepEqual(await prove({ http: undefined }), { ms: 0, probes: 0 })
})

test('a build that is unhealthy fails at the deadline, with its answer', async (t: TestContext) => {
  const { app, prove } = await world(t)
  await app.set({ health: 'unhealthy' })
  const error = await failure(prove(soon))
  assert.equal(error.code, 'VERIFY_FAILED')
  assert.match(error.message, /^not healthy for 200 ms without a break within 700 ms: 0 of \d+ probes passed/)
  assert.match(error.message, /the last failure: http\S+\/healthz answered 503; last output: \{"ok":false/)
})

test('F20: a build that flaps fails, though most of its answers were good', async (t: TestContext) => {
  const { app, prove } = await world(t)
  await app.set({ health: 'flapping' })
  const error = await failure(prove({ healthySeconds: 0.9, timeoutSeconds: 1 }))
  assert.equal(error.code, 'VERIFY_FAILED')
  const [, passed, probes] = /(\d+) of (\d+) probes passed/.exec(error.message) ?? []
  assert.ok(Number(passed) > Number(probes) / 2, error.message)
})

test('a build that becomes healthy late passes, as long as the whole calm fits before the deadline', async (t: TestContext) => {
  const { app, lines, prove } = await world(t)
  await app.set({ health: 'unhealthy' })
  const running = prove()
  await until('a probe failed', () => lines.length > 0)
  await app.set({ health: 'healthy' })
  const { ms } = await running
  assert.ok(ms > 220, `passed after ${ms} ms, one interval of 20 ms and 200 ms of calm were promised`)
})

test('a build that becomes healthy too late to prove it fails', async (t: TestContext) => {
  const { app, lines, prove } = await world(t)
  await app.set({ health: 'unhealthy' })
  const running = failure(prove({ ...soon, healthySeconds: 0.69 }))
  await until('a probe failed', () => lines.length > 0)
  await app.set({ health: 'healthy' })
  const error = await running
  assert.equal(error.code, 'VERIFY_FAILED')
  assert.doesNotMatch(error.message, /: 0 of/)
})

test('the reason that is told is a real one, not the probe that the deadline cut off', async (t: TestContext) => {
  const { prove } = await world(t)
  let asked = 0
  const http = await listen(t, (_request, response) => {
    asked += 1
    if (asked === 1) response.writeHead(200, { 'x-hotcold-build': 'b0' }).end()
  })
  const error = await failure(prove({ ...soon, http }))
  assert.equal(error.code, 'IDENTITY_MISMATCH')
})

test('an application that takes a connection and never answers fails at the deadline', async (t: TestContext) => {
  const { app, prove } = await world(t)
  await app.set({ health: 'mute' })
  const startedMs = performance.now()
  const error = await failure(prove({ timeoutSeconds: 0.4 }))
  assert.equal(error.code, 'VERIFY_FAILED')
  assert.match(error.message, /did not answer: no answer within \d+ ms/)
  assert.ok(performance.now() - startedMs < 20_000, 'it outlived its deadline')
})

test('an answer that drips for ever is no answer', async (t: TestContext) => {
  const { prove } = await world(t)
  const http = await listen(t, (_request, response) => {
    response.writeHead(200, { 'x-hotcold-build': 'b1' })
    const drip = setInterval(() => response.write('.'), 10)
    response.on('close', () => clearInterval(drip))
  })
  const error = await failure(prove({ http, timeoutSeconds: 0.4 }))
  assert.match(error.message, /no answer within/)
})

test('an application that is not there fails at the deadline', async (t: TestContext) => {
  const { app, prove } = await world(t)
  await app.stop()
  const error = await failure(prove({ timeoutSeconds: 0.3 }))
  assert.equal(error.code, 'VERIFY_FAILED')
  assert.match(error.message, /ECONNREFUSED/)
})

test('a redirect is not followed: it is no health', async (t: TestContext) => {
  const { app, prove } = await world(t)
  const http = await listen(t, (_request, response) => {
    response.writeHead(302, { location: `${app.url}/healthz` }).end()
  })
  assert.match((await failure(prove({ http, timeoutSeconds: 0.3 }))).message, /answered 302/)
})

test('F21: a healthy answer of the old build does not pass the new one', async (t: TestContext) => {
  const { root, app, prove } = await world(t)
  await app.set({ deaf: true })
  await layHot(root, 'b', 'b2')
  app.reload() // which it does not heed
  const error = await failure(prove({ timeoutSeconds: 0.4 }, B2))
  assert.equal(error.code, 'IDENTITY_MISMATCH')
  assert.match(error.message, /\/healthz was answered by build b1, not b2$/)
})

test('F21: the old build may answer for a while: once the new one does, it passes', async (t: TestContext) => {
  const { root, app, lines, prove } = await world(t)
  await layHot(root, 'b', 'b2')
  const running = prove({}, B2)
  await until('the old build was noticed', () =>
    lines.some((line) => /build b1, not b2/.test(String(line.facts.error))),
  )
  app.reload()
  await running
})

test('F21: two builds that answer in turn on one port never pass', async (t: TestContext) => {
  const { prove } = await world(t)
  let asked = 0
  const http = await listen(t, (_request, response) => {
    asked += 1
    response.writeHead(200, { 'x-hotcold-build': asked % 2 === 0 ? 'b1' : 'b0' }).end()
  })
  const error = await failure(prove({ http, timeoutSeconds: 0.4, healthySeconds: 0 }))
  assert.equal(error.code, 'IDENTITY_MISMATCH')
})

test('F21: each probe comes over a connection of its own, so it reaches who listens now', async (t: TestContext) => {
  const { prove } = await world(t)
  const sockets = new Set<unknown>()
  let asked = 0
  const http = await listen(t, (request, response) => {
    sockets.add(request.socket)
    asked += 1
    response.writeHead(200, { 'x-hotcold-build': 'b1' }).end()
  })
  await prove({ http })
  assert.equal(sockets.size, asked)
})

test('the build id may be in a JSON field or in the text of the body, and the check can be switched off', async (t: TestContext) => {
  const { app, prove } = await world(t)
  await prove({ identity: { json: 'build' }, healthySeconds: 0 })
  await prove({ identity: { body: true }, healthySeconds: 0 })
  await app.set({ identity: 'b0' })
  const quick = { healthySeconds: 0, timeoutSeconds: 0.4 }
  assert.match(
    (await failure(prove({ ...quick, identity: { json: 'build' } }))).message,
    /answered by build b0, not b1/,
  )
  assert.equal((await failure(prove({ ...quick, identity: { body: true } }))).code, 'IDENTITY_MISMATCH')
  assert.match(
    (await failure(prove({ ...quick, identity: { json: 'version.id' } }))).message,
    /gave no JSON field version\.id/,
  )
  assert.match((await failure(prove({ ...quick, identity: { header: 'x-build' } }))).message, /gave no header x-build/)
  await prove({ healthySeconds: 0, identity: 'off' })
})

test('a verify command must pass too, and is told the build', async (t: TestContext) => {
  const { root, app, prove } = await world(t)
  const command = { argv: ['sh', '-c', `echo "$HOTCOLD_BUILD" >> told; test -e ${root}/fine`], timeoutSeconds: 5 }
  const error = await failure(prove({ command, timeoutSeconds: 0.4 }))
  assert.equal(error.code, 'VERIFY_FAILED')
  assert.match(error.message, /the verify command exited with 1$/)
  await writeFile(join(root, 'fine'), '')
  await prove({ command, healthySeconds: 0 })
  await prove({ command, healthySeconds: 0, http: undefined })
  await app.set({ health: 'unhealthy' })
  assert.match((await failure(prove({ command, timeoutSeconds: 0.4 }))).message, /answered 503/)
})

test('a verify command that hangs or cannot start is a failed probe, and the deadline holds', async (t: TestContext) => {
  const { prove } = await world(t)
  const startedMs = performance.now()
  const hangs = await failure(prove({ command: { argv: ['sleep', '600'], timeoutSeconds: 60 }, timeoutSeconds: 0.4 }))
  assert.match(hangs.message, /the verify command did not end within \d+ ms/)
  const missing = await failure(prove({ command: { argv: ['/nothing'], timeoutSeconds: 60 }, timeoutSeconds: 0.3 }))
  assert.match(missing.message, /cannot start the verify command \(ENOENT\): \/nothing/)
  assert.ok(performance.now() - startedMs < 30_000, 'the deadline did not hold')
})

test('a verify whose reason is gone ends at once, also while an answer is awaited', async (t: TestContext) => {
  const { app, prove } = await world(t)
  await app.set({ health: 'mute' })
  const stop = new AbortController()
  const running = prove({ timeoutSeconds: 60 }, B1, stop.signal)
  setTimeout(() => stop.abort(new Error('recalled')), 100)
  const startedMs = performance.now()
  await assert.rejects(running, /^Error: recalled$/)
  assert.ok(performance.now() - startedMs < 30_000)
})

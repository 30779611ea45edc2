// Owns the proof that a drain by HTTP or by command waits for what is in flight, takes nothing else for idle, and ends in time.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { drainedNode, failureOf, isPending } from '../support/drained-node.ts'
import { startServedApp } from '../support/served-app.ts'
import { until } from '../support/until.ts'

/** A server of the test's own, for answers that no application gives on purpose. Null never answers. */
async function answering(
  t: TestContext,
  status: number,
  body: string | null,
): Promise<{ url: string; asked: number[] }> {
  const asked: number[] = []
  const server = createServer((_request, response) => {
    asked.push(performance.now())
    if (body !== null) response.writeHead(status).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return { url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/active`, asked }
}

test('none: there is nothing to wait for', async (t: TestContext) => {
  const node = await drainedNode(t)
  assert.equal((await node.drain({ kind: 'none' })).timedOut, false)
})

test('http: an idle application is drained at the first reading', async (t: TestContext) => {
  const node = await drainedNode(t)
  const app = await startServedApp(t, { root: node.root })
  const { timedOut } = await node.drain({ kind: 'http', url: `${app.url}/active`, timeoutSeconds: 0 })
  assert.equal(timedOut, false)
})

test('http: requests in flight are waited for, and every one of them is answered', async (t: TestContext) => {
  const node = await drainedNode(t)
  const app = await startServedApp(t, { root: node.root })
  const [one, two] = [await app.hold(), await app.hold()]
  const draining = node.drain({ kind: 'http', url: `${app.url}/active` })
  await until('the drain waits', () => /says 2 in flight$/.test(node.waitingFor() ?? ''))
  assert.ok(await isPending(draining), 'drained while two requests were in flight')
  await app.release()
  assert.equal((await draining).timedOut, false)
  assert.equal((await one.done).build, 'b1')
  assert.equal((await two.done).build, 'b1')
})

test('F14: a request without end stops the swap, and the reason is told', async (t: TestContext) => {
  const node = await drainedNode(t)
  const app = await startServedApp(t, { root: node.root })
  await app.hold()
  const error = await failureOf(node.drain({ kind: 'http', url: `${app.url}/active`, timeoutSeconds: 0.3 }))
  assert.equal(error.code, 'DRAIN_TIMEOUT')
  const said = `still busy after 300 ms: ${app.url}/active says 1 in flight; the running build stays and is put back into service`
  assert.equal(error.message, said)
})

test('F14: with onTimeout proceed it goes on, and that is logged as a warning', async (t: TestContext) => {
  const node = await drainedNode(t)
  const app = await startServedApp(t, { root: node.root })
  await app.hold()
  const url = `${app.url}/active`
  const { timedOut, waitedMs } = await node.drain({ kind: 'http', url, timeoutSeconds: 0.3, onTimeout: 'proceed' })
  assert.equal(timedOut, true)
  assert.ok(waitedMs >= 300, `went on after ${waitedMs} ms`)
  const warning = node.lines.find((line) => line.level === 'warn')
  assert.equal(warning?.message, 'drain timed out, going on')
})

for (const [status, body] of [
  [204, ''],
  [200, '0'],
  [200, '{"active": 0}'],
] as const) {
  test(`http: ${status} ${body} is idle`, async (t: TestContext) => {
    const node = await drainedNode(t)
    const { url } = await answering(t, status, body)
    assert.equal((await node.drain({ kind: 'http', url })).timedOut, false)
  })
}

for (const [status, body, said] of [
  [200, '', 'gave neither a number nor {"active": a number}'],
  [200, '<html>0</html>', 'gave neither a number nor {"active": a number}'],
  [200, '"0"', 'gave neither a number nor {"active": a number}'],
  [200, 'null', 'gave neither a number nor {"active": a number}'],
  [200, '{"active": null}', 'gave neither a number nor {"active": a number}'],
  [200, '[]', 'gave neither a number nor {"active": a number}'],
  [200, '-1', 'gave neither a number nor {"active": a number}'],
  [200, '1', 'says 1 in flight'],
  [302, '0', 'answered 302'],
  [404, '0', 'answered 404'],
  [500, '0', 'answered 500'],
  [200, null, 'did not answer: no answer within'],
] as const) {
  test(`http: ${status} ${body ?? 'and silence'} is busy`, async (t: TestContext) => {
    const node = await drainedNode(t)
    const { url } = await answering(t, status, body)
    const error = await failureOf(node.drain({ kind: 'http', url, timeoutSeconds: 0.1 }))
    assert.equal(error.code, 'DRAIN_TIMEOUT')
    assert.ok(error.message.includes(said), error.message)
  })
}

test('http: an application that is not there is busy: nobody can tell', async (t: TestContext) => {
  const node = await drainedNode(t)
  const app = await startServedApp(t, { root: node.root })
  await app.stop()
  const error = await failureOf(node.drain({ kind: 'http', url: `${app.url}/active`, timeoutSeconds: 0.1 }))
  assert.match(error.message, /ECONNREFUSED/)
})

test('F16: nothing is counted before the load balancer can have heard of it', async (t: TestContext) => {
  const node = await drainedNode(t)
  const { url, asked } = await answering(t, 200, '0')
  const startedMs = performance.now()
  await node.drain({ kind: 'http', url, propagationSeconds: 0.3 })
  assert.equal(asked.length, 1)
  const first = asked[0] ?? 0
  assert.ok(first - startedMs >= 299, `asked after ${first - startedMs} ms`)
})

test('F2: a drain whose reason is gone ends at once', async (t: TestContext) => {
  const node = await drainedNode(t)
  for (const answer of [await answering(t, 200, '5'), await answering(t, 200, null)]) {
    const stop = new AbortController()
    const draining = node.drain({ kind: 'http', url: answer.url }, { signal: stop.signal })
    await until('it asked', () => answer.asked.length > 0)
    const startedMs = performance.now()
    stop.abort(new Error('recalled'))
    await assert.rejects(draining, /^Error: recalled$/)
    assert.ok(performance.now() - startedMs < 20_000)
  }
})

test('command: busy while it exits with 75, drained when it exits with 0, and told what for', async (t: TestContext) => {
  const node = await drainedNode(t)
  const script = 'echo $HOTCOLD_BUILD > told; test -e idle && exit 0; echo 3 jobs left; exit 75'
  const draining = node.drain({ kind: 'command', argv: ['sh', '-c', script] })
  await until('the drain waits', () => node.waitingFor() === 'the drain command says busy; last output: 3 jobs left')
  assert.ok(await isPending(draining))
  await writeFile(join(node.root, 'idle'), '')
  assert.equal((await draining).timedOut, false)
  assert.equal(await readFile(join(node.root, 'told'), 'utf8'), 'b2\n')
})

for (const [name, argv, said] of [
  [
    'fails',
    ['sh', '-c', 'echo no such queue >&2; exit 1'],
    'exited with 1, which says neither idle nor busy; last output: no such queue',
  ],
  ['dies of a signal', ['sh', '-c', 'kill -SEGV $$'], 'was ended by SIGSEGV, which says neither idle nor busy'],
  ['hangs', ['sh', '-c', 'sleep 600'], 'the drain command did not end within'],
  ['cannot be started', ['/nothing'], 'cannot start the drain command (ENOENT): /nothing'],
] as const) {
  test(`command: one that ${name} is busy, and is reported`, async (t: TestContext) => {
    const node = await drainedNode(t)
    const error = await failureOf(node.drain({ kind: 'command', argv, timeoutSeconds: 0.2 }))
    assert.equal(error.code, 'DRAIN_TIMEOUT')
    assert.ok(error.message.includes(said), error.message)
    assert.ok(node.waitingFor()?.includes(said), String(node.waitingFor()))
  })
}

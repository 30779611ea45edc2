// Owns the proof that the load hides nothing: whatever a server does to a request is counted, and no request is lost or sent twice.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { PAGE_FILES, pageFile } from '#test/load/page.ts'
import { startLoad } from '#test/load/processes.ts'
import { until } from '#test/support/until.ts'

const ROUNDS = 20

test('of each kind of answer as many are counted as were given: pages, mixtures, refusals, resets, half answers, unknown builds', async (t: TestContext) => {
  const page = (first: string, second: string) => pageFile(PAGE_FILES[0], first) + pageFile(PAGE_FILES[1], second)
  const given = new Map<string, number>()
  const server = createServer((request, response) => {
    const kind = new URL(request.url ?? '/', 'http://app').searchParams.get('ms') ?? ''
    given.set(kind, (given.get(kind) ?? 0) + 1)
    const send = (status: number, body: string, headers: Record<string, string> = {}) =>
      response.writeHead(status, { 'content-length': body.length, 'x-node': 'node-1', ...headers }).end(body)
    switch (kind) {
      case '1':
        return void send(200, page('a', 'a'))
      case '2':
        return void send(200, page('a', 'b'), { 'x-met': '1' })
      case '3':
        return void send(503, 'no server')
      case '4':
        return void request.socket.destroy()
      case '5':
        return void response.writeHead(200, { 'content-length': 1_000 }).write('half', () => request.socket.destroy())
      case '6':
        return void send(200, page('c', 'c'))
      default:
        return void send(200, page('b', 'b'), { connection: 'close' })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const workMs = [1, 2, 3, 4, 5, 6, 7]
  const load = startLoad(t, { host: '127.0.0.1', port, perSecond: 700, builds: ['a', 'b'], workMs })
  await until('enough was asked', async () => (await load.report()).sent >= ROUNDS * workMs.length)
  const report = await load.finish()

  const count = (...kinds: readonly string[]) => kinds.reduce((sum, kind) => sum + (given.get(kind) ?? 0), 0)
  assert.equal(report.sent, count('1', '2', '3', '4', '5', '6', '7'), 'each request was sent, and sent once')
  assert.equal(report.served, count('1', '7'))
  assert.equal(report.mixed, count('2'))
  assert.equal(report.met, count('2'))
  assert.equal(report.failed, count('3', '4', '5', '6'))
  assert.equal(report.open, 0)
})

test('a server that is not there fails every request', async (t: TestContext) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const load = startLoad(t, { host: '127.0.0.1', port, perSecond: 200, builds: ['a'], workMs: [0] })
  await until('enough was asked', async () => (await load.report()).sent >= 20)
  const report = await load.finish()
  assert.equal(report.failed, report.sent)
  assert.match(report.why[0] ?? '', /ECONNREFUSED/)
})

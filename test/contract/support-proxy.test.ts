// Owns the proof that the fault proxy does to a connection what it says.
import assert from 'node:assert/strict'
import { connect as connectTo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type FaultProxy, startProxy } from '#test/support/proxy.ts'
import { until } from '#test/support/until.ts'

/** An upstream that answers each byte with twenty, and a connection to it by the proxy. */
async function throughProxy(t: TestContext, set: (proxy: FaultProxy) => void) {
  const heard: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      heard.push(chunk.toString())
      socket.write('0123456789'.repeat(2))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const proxy = await startProxy(t, `127.0.0.1:${port}`)
  set(proxy)
  const socket: Socket = connectTo(proxy.port, '127.0.0.1')
  t.after(() => socket.destroy())
  const got = { text: '', code: '', ended: false }
  socket.on('data', (chunk) => {
    got.text += chunk.toString('latin1')
  })
  socket.on('error', (error) => {
    got.code = 'code' in error ? String(error.code) : ''
  })
  socket.on('close', () => {
    got.ended = true
  })
  socket.write('?')
  return { proxy, socket, got, heard }
}

const FULL = '01234567890123456789'

test('without a fault everything passes', async (t: TestContext) => {
  const { got, proxy } = await throughProxy(t, () => undefined)
  await until('the answer', () => got.text === FULL)
  assert.deepEqual([proxy.open, proxy.accepted], [1, 1])
})

test('mute holds both directions, on connections that are open too', async (t: TestContext) => {
  const { got, proxy, socket, heard } = await throughProxy(t, () => undefined)
  await until('the answer', () => got.text === FULL)
  proxy.set({ kind: 'mute' })
  socket.write('!')
  const other = connectTo(proxy.port, '127.0.0.1')
  t.after(() => other.destroy())
  await until('the other is open', () => proxy.open === 2)
  assert.deepEqual([got.text, got.ended, heard], [FULL, false, ['?']])
})

test('reset breaks what is open and what comes', async (t: TestContext) => {
  const { got, proxy } = await throughProxy(t, () => undefined)
  await until('the answer', () => got.text === FULL)
  proxy.set({ kind: 'reset' })
  await until('the reset', () => got.ended)
  assert.equal(got.code, 'ECONNRESET')
})

test('a lost reply was asked for all the same', async (t: TestContext) => {
  const { got, heard } = await throughProxy(t, (proxy) => proxy.set({ kind: 'loseReply' }))
  await until('the reset', () => got.ended)
  assert.deepEqual([got.text, heard], ['', ['?']])
})

test('a cut answer has just as many bytes as it was left', async (t: TestContext) => {
  const { got } = await throughProxy(t, (proxy) => proxy.set({ kind: 'cut', afterBytes: 7 }))
  await until('the end', () => got.ended)
  assert.equal(got.text, FULL.slice(0, 7))
})

test('a corrupted answer differs in one byte', async (t: TestContext) => {
  const { got } = await throughProxy(t, (proxy) => proxy.set({ kind: 'corrupt', atByte: 3 }))
  await until('the answer', () => got.text.length === FULL.length)
  assert.deepEqual([got.text.slice(0, 3), got.text[3], got.text.slice(4)], ['012', '\xcc', FULL.slice(4)])
})

for (const fault of [
  { kind: 'delay', ms: 100 },
  { kind: 'throttle', bytesPerSecond: 100 },
] as const) {
  test(`${fault.kind} loses nothing and takes its time`, async (t: TestContext) => {
    const began = performance.now()
    const { got } = await throughProxy(t, (proxy) => proxy.set(fault))
    await until('the answer', () => got.text === FULL)
    assert.ok(performance.now() - began >= 90)
  })
}

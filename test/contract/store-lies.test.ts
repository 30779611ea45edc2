// Owns the proof that a store which lies is never believed: each lie has its code, and none waits for ever.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { openStore, type StoreOptions } from '#adapters/store.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { type Lie, startLyingStore } from '#test/support/lying-store.ts'
import { tmp } from '#test/support/tmp.ts'

const signal = new AbortController().signal
const world = { clock: systemClock, log: { debug() {}, info() {}, warn() {}, error() {} } }
const NAME = 'b1/artifact.tar.zst'
const BYTES = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 251))

/** The same lying server behind both clients: as a web server, and as what the S3 client takes for a bucket called `b1`'s parent. */
const CLIENTS: Record<string, (url: string) => StoreOptions> = {
  http: (url) => ({ url, patience: { answerMs: 600, stallMs: 300 } }),
  s3: (url) => ({ url: 's3://bucket', endpoint: url, pathStyle: true, patience: { answerMs: 900, stallMs: 300 } }),
}

async function start(t: TestContext, client: string) {
  process.env.AWS_ACCESS_KEY_ID = 'somebody'
  process.env.AWS_SECRET_ACCESS_KEY = 'secret'
  const directory = await tmp(t, 'lying')
  const writer = await openStore({ url: `file://${directory}` }, world)
  // Path style puts the bucket first: the same object under both names.
  for (const name of [NAME, `bucket/${NAME}`]) {
    await writer.create(
      name,
      (async function* () {
        yield BYTES
      })(),
      signal,
    )
  }
  const server = await startLyingStore(t, directory)
  const options = CLIENTS[client]
  assert.ok(options)
  return { server, store: await openStore(options(server.url), world) }
}

async function all(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(pieces))
}

const read = (store: BuildStore) => all(store.read(NAME, { range: { start: 10, end: 200_000 } }, signal))

const LIES: readonly { readonly row: string; readonly lie: Lie; readonly code: Parameters<typeof isFleetError>[1] }[] =
  [
    { row: 'B4: a mute server', lie: { kind: 'mute' }, code: 'STORE_UNREACHABLE' },
    { row: 'B4: a body that stalls', lie: { kind: 'stall', afterBytes: 1_000 }, code: 'STORE_STALLED' },
    { row: 'B5: a body that is cut', lie: { kind: 'cut', afterBytes: 70_000 }, code: 'STORE_UNREACHABLE' },
    { row: 'B2: a 403', lie: { kind: 'status', status: 403 }, code: 'STORE_DENIED' },
    { row: 'B3: a 503', lie: { kind: 'status', status: 503 }, code: 'STORE_UNREACHABLE' },
    { row: 'B1: a 404', lie: { kind: 'status', status: 404 }, code: 'STORE_MISSING' },
    { row: 'B9: a redirect', lie: { kind: 'redirect', location: 'http://127.0.0.1:9/' }, code: 'STORE_BAD_ANSWER' },
    { row: 'B10: a server that hangs up', lie: { kind: 'off' }, code: 'STORE_UNREACHABLE' },
  ]

for (const client of Object.keys(CLIENTS)) {
  for (const { row, lie, code } of LIES) {
    test(`${row} is told by its code to the ${client} client, and the truth afterwards is believed`, async (t) => {
      const { server, store } = await start(t, client)
      server.lie(lie)
      await assert.rejects(read(store), (error) => code !== undefined && isFleetError(error, code))
      server.lie(null)
      assert.ok((await read(store)).equals(BYTES.subarray(10, 200_000)))
    })
  }

  test(`B7: an object replaced between two ranges is a change to the ${client} client, never a mixture`, async (t) => {
    const { server, store } = await start(t, client)
    const version = (await store.find(NAME, signal))?.version ?? ''
    assert.ok((await all(store.read(NAME, { version }, signal))).equals(BYTES))
    server.lie({ kind: 'changing' })
    await assert.rejects(all(store.read(NAME, { version }, signal)), (error) => isFleetError(error, 'STORE_CHANGED'))
  })

  test(`a ${client} read that nobody waits for any longer ends at once, also while the server is mute`, async (t) => {
    const { server, store } = await start(t, client)
    server.lie({ kind: 'stall', afterBytes: 5 })
    const controller = new AbortController()
    const reason = new Error('another target came')
    const reading = all(store.read(NAME, {}, controller.signal))
    setImmediate(() => controller.abort(reason))
    await assert.rejects(reading, (error) => error === reason)
  })
}

test('a slow reader is no stall: time in which nobody asks for more does not count', async (t) => {
  const { store } = await start(t, 'http')
  const pieces: Uint8Array[] = []
  for await (const piece of store.read(NAME, {}, signal)) {
    if (pieces.length === 0) await systemClock.sleep(400)
    pieces.push(piece)
  }
  assert.ok(Buffer.concat(pieces).equals(BYTES))
})

test('B11: a body that came compressed on the way is refused', async (t) => {
  const { server, store } = await start(t, 'http')
  server.lie({ kind: 'encoded' })
  await assert.rejects(read(store), (error) => isFleetError(error, 'STORE_BAD_ANSWER'))
})

test('a web server that knows no ranges is told by its answers, and still gives the range that was asked for', async (t) => {
  const { server, store } = await start(t, 'http')
  assert.equal((await store.find(NAME, signal))?.wholeOnly, undefined)
  server.lie({ kind: 'no ranges' })
  assert.equal((await store.find(NAME, signal))?.wholeOnly, true)
  assert.ok((await read(store)).equals(BYTES.subarray(10, 200_000)))
})

test('B2: a 403 of a server whose clock is an hour ahead says that it is the clock', async (t) => {
  const { server, store } = await start(t, 'http')
  const date = new Date(systemClock.now() + 3_600_000).toUTCString()
  server.lie({ kind: 'status', status: 403, headers: { date } })
  await assert.rejects(
    read(store),
    (error) => isFleetError(error, 'STORE_CLOCK_SKEW') && error.message.includes('60 min off'),
  )
})

test('a web server is a store to read from only', async (t) => {
  const { store } = await start(t, 'http')
  await assert.rejects(store.remove(NAME, signal), (error) => isFleetError(error, 'STORE_READ_ONLY'))
})

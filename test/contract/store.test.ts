// Owns the promises of a store, held against every one that can be written: memory, a directory, and a real S3 server.
import assert from 'node:assert/strict'
import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { memoryStore } from '#adapters/memory/store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { openStore } from '#adapters/store.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { BuildStore, Logger } from '#fleet/ports.ts'
import { startRgw } from '#test/support/rgw.ts'
import { tmp } from '#test/support/tmp.ts'

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }
const world = { clock: systemClock, log: silent }
const signal = new AbortController().signal

const WORLDS: Record<string, (t: TestContext) => Promise<BuildStore>> = {
  memory: async () => memoryStore(),
  directory: async (t) => openStore({ url: `file://${await tmp(t, 'store')}` }, world),
  'real S3 server': async (t) => {
    const { url, endpoint } = await startRgw(t)
    return openStore({ url: `${url}/some/prefix`, endpoint, pathStyle: true }, world)
  },
}

async function* of(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

async function all(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(pieces))
}

const refusedAs = (code: Parameters<typeof isFleetError>[1]) => (error: unknown) =>
  code !== undefined && isFleetError(error, code)

for (const [name, open] of Object.entries(WORLDS)) {
  test(`${name}: what was created is read back, whole and in ranges, and only by the version that it has`, async (t) => {
    const store = await open(t)
    assert.equal(await store.find('b1/artifact.tar.zst', signal), null)
    assert.equal(await store.create('b1/artifact.tar.zst', of('hello ', 'world'), signal), 'created')
    const facts = await store.find('b1/artifact.tar.zst', signal)
    assert.equal(facts?.bytes, 11)
    const version = facts?.version ?? ''
    assert.equal(String(await all(store.read('b1/artifact.tar.zst', { version }, signal))), 'hello world')
    const range = { start: 3, end: 7 }
    assert.equal(String(await all(store.read('b1/artifact.tar.zst', { range, version }, signal))), 'lo w')
    await assert.rejects(
      all(store.read('b1/artifact.tar.zst', { version: '"other"' }, signal)),
      refusedAs('STORE_CHANGED'),
    )
  })

  test(`${name}: the objects of a build are listed by name, and nothing of another build`, async (t) => {
    const store = await open(t)
    const mine = ['b1/artifact.tar.zst', 'b1/from/b0.delta.zst', 'b1/from/old.delta.zst']
    for (const object of [...mine, 'b10/artifact.tar.zst']) await store.create(object, of('x'), signal)
    const names = async () => (await Array.fromAsync(store.list('b1/', signal))).sort()
    assert.deepEqual(await names(), mine)
    for (const object of mine) await store.remove(object, signal)
    assert.deepEqual(await names(), [])
    assert.deepEqual(await Array.fromAsync(store.list('none/', signal)), [])
  })

  test(`${name}: an object is never overwritten, and of eight racing creators exactly one wins`, async (t) => {
    const store = await open(t)
    const race = Array.from({ length: 8 }, (_, index) =>
      store.create('b1/manifest.json.zst', of(`from ${index}`), signal),
    )
    const outcomes = await Promise.all(race)
    assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
    const winner = outcomes.indexOf('created')
    assert.equal(String(await all(store.read('b1/manifest.json.zst', {}, signal))), `from ${winner}`)
    assert.equal(await store.create('b1/manifest.json.zst', of('late'), signal), 'exists')
  })

  test(`B1: ${name}: an object that is not there is said to be missing, and removing it is fine`, async (t) => {
    const store = await open(t)
    await assert.rejects(all(store.read('b9/artifact.tar.zst', {}, signal)), refusedAs('STORE_MISSING'))
    await store.remove('b9/artifact.tar.zst', signal)
    await store.create('b9/artifact.tar.zst', of('x'), signal)
    await store.remove('b9/artifact.tar.zst', signal)
    assert.equal(await store.find('b9/artifact.tar.zst', signal), null)
  })

  test(`${name}: a body that fails half-way leaves no object, and its error comes back as it was`, async (t) => {
    const store = await open(t)
    const failure = new Error('the disk of the publisher broke')
    const body = async function* () {
      for (let part = 0; part < 20; part += 1) yield Buffer.alloc(1024 * 1024, part)
      throw failure
    }
    await assert.rejects(store.create('b1/artifact.tar.zst', body(), signal), (error) => error === failure)
    assert.equal(await store.find('b1/artifact.tar.zst', signal), null)
    assert.equal(await store.create('b1/artifact.tar.zst', of('again'), signal), 'created')
  })

  test(`${name}: an object larger than any part comes back byte for byte`, async (t) => {
    const store = await open(t)
    const pieces = Array.from({ length: 37 }, (_, index) => Buffer.alloc(700_001, index))
    assert.equal(await store.create('b1/artifact.tar.zst', of(...pieces), signal), 'created')
    const whole = Buffer.concat(pieces)
    assert.ok(whole.equals(await all(store.read('b1/artifact.tar.zst', {}, signal))))
    const range = { start: 8 * 1024 * 1024 - 5, end: 16 * 1024 * 1024 + 5 }
    assert.ok(
      whole.subarray(range.start, range.end).equals(await all(store.read('b1/artifact.tar.zst', { range }, signal))),
    )
    assert.equal(await store.create('b1/artifact.tar.zst', of(...pieces), signal), 'exists')
  })

  test(`${name}: an aborted read ends with the signal's reason`, async (t) => {
    const store = await open(t)
    await store.create('b1/artifact.tar.zst', of(Buffer.alloc(4_000_000)), signal)
    const controller = new AbortController()
    const reason = new Error('the operator changed their mind')
    const reading = async () => {
      for await (const _ of store.read('b1/artifact.tar.zst', {}, controller.signal)) controller.abort(reason)
    }
    await assert.rejects(reading(), (error) => error === reason)
  })
}

test('directory: what a publisher that died left behind is removed a day later by the next one', async (t) => {
  const root = await tmp(t, 'store')
  await writeFile(join(root, '.incoming-dead'), 'half')
  await writeFile(join(root, '.incoming-alive'), 'half')
  await utimes(join(root, '.incoming-dead'), 0, 0)
  const store = await openStore({ url: `file://${root}` }, world)
  await store.create('b1/x', of('x'), signal)
  assert.deepEqual((await readdir(root)).sort(), ['.incoming-alive', 'b1'])
})

test('S3: an upload in parts gives way to an object that appeared meanwhile, and leaves no part behind', async (t) => {
  const { url, endpoint, client, bucket } = await startRgw(t)
  const store = await openStore({ url, endpoint }, world)
  const slow = async function* () {
    for (let part = 0; part < 20; part += 1) yield Buffer.alloc(1024 * 1024, 7)
    await store.create('b1/artifact.tar.zst', of('first'), signal)
    yield Buffer.alloc(5)
  }
  assert.equal(await store.create('b1/artifact.tar.zst', slow(), signal), 'exists')
  assert.equal(String(await all(store.read('b1/artifact.tar.zst', {}, signal))), 'first')
  const left = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  assert.deepEqual(left.Uploads ?? [], [])
})

test('S3: an upload in parts that is stopped leaves no object and no part behind', async (t) => {
  const { url, endpoint, client, bucket } = await startRgw(t)
  const store = await openStore({ url, endpoint }, world)
  const controller = new AbortController()
  const reason = new Error('Ctrl-C')
  let told = false
  const body = async function* () {
    try {
      for (let part = 0; part < 40; part += 1) {
        if (part === 30) controller.abort(reason)
        yield Buffer.alloc(1024 * 1024, part)
      }
    } finally {
      told = true
    }
  }
  const upload = store.create('b1/artifact.tar.zst', body(), controller.signal)
  await assert.rejects(upload, (error) => error === reason)
  assert.equal(told, true, 'the body was told that nobody reads it any longer')
  assert.equal(await store.find('b1/artifact.tar.zst', signal), null)
  const left = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  assert.deepEqual(left.Uploads ?? [], [])
})

test('S3: racing uploads in parts: the object is one of them as a whole, and no part stays behind', async (t) => {
  const { url, endpoint, client, bucket } = await startRgw(t)
  const store = await openStore({ url, endpoint }, world)
  const race = [1, 2, 3].map((fill) => store.create('b1/artifact.tar.zst', of(Buffer.alloc(9_000_000, fill)), signal))
  const outcomes = await Promise.all(race)
  assert.ok(outcomes.includes('created'))
  const bytes = await all(store.read('b1/artifact.tar.zst', {}, signal))
  assert.ok(bytes.equals(Buffer.alloc(9_000_000, bytes[0])))
  t.diagnostic(`outcomes: ${outcomes.join(', ')}`)
  const left = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  assert.deepEqual(left.Uploads ?? [], [])
})

test('S3: a missing bucket, a wrong secret and no server each say what is wrong', async (t) => {
  const { endpoint, url } = await startRgw(t)
  const elsewhere = await openStore({ url: 's3://no-such-bucket', endpoint }, world)
  await assert.rejects(elsewhere.create('a/b', of('x'), signal), refusedAs('STORE_MISSING'))
  const nobody = await openStore({ url, endpoint: 'http://127.0.0.1:9', patience: { answerMs: 3_000 } }, world)
  await assert.rejects(nobody.find('a/b', signal), refusedAs('STORE_UNREACHABLE'))
  process.env.AWS_SECRET_ACCESS_KEY = 'wrong'
  const denied = await openStore({ url, endpoint }, world)
  await assert.rejects(denied.find('a/b', signal), refusedAs('STORE_DENIED'))
})

test('a store URL of no known kind is a config error that says which kinds there are', async () => {
  for (const url of ['', 'ftp://x/y', 'builds', 'file://host/x']) {
    await assert.rejects(openStore({ url }, world), refusedAs('CONFIG_INVALID'))
  }
})

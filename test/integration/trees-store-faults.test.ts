// Owns the proof that a store which lies, stalls or is away costs a deploy and never what runs.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Digest } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { hurried } from '#test/support/hurry.ts'
import { failsWithHotUnchanged, testNode, testStore } from '#test/support/tree-node.ts'
import { QUICK } from '#test/support/tree-options.ts'

const FILES = { 'app/page': randomBytes(1_500), 'app/part': 'part\n'.repeat(40_000), logo: 'logo' }

/** A node that runs b1, and b2, which is not there yet. `store` stands between the node and the real one. */
async function deployed(t: TestContext, between: (store: BuildStore) => BuildStore = (store) => store) {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { logo: 'old' })
  const two = await shop.publishFiles('b2', FILES)
  const fetch = { ...QUICK.fetch, stallSeconds: 1 }
  const first = await testNode(t, { store: shop.store })
  await first.deploy(one)
  await first.trees.close(true)
  const node = await testNode(t, {
    root: first.root,
    store: between(shop.store),
    clock: hurried(5),
    options: { fetch },
  })
  return { shop, one, two, node, artifact: join(shop.directory, 'b2/artifact.tar.zst') }
}

test('B6: an artifact with flipped bits is refused by the file that came out wrong, and deployed once it is right', async (t: TestContext) => {
  const { node, two, artifact } = await deployed(t)
  const right = readFileSync(artifact)
  const wrong = Buffer.from(right)
  for (let at = 100; at < wrong.byteLength; at += 50) wrong[at] = (wrong[at] ?? 0) ^ 0xff
  writeFileSync(artifact, wrong)
  const message = await failsWithHotUnchanged(node, 'DIGEST_MISMATCH', () => node.stage(two))
  assert.match(message, /artifact of b2: \S+: want [0-9a-f]{64}, got .*; hot still runs/)
  assert.equal((await node.trees.survey()).cold, null)

  writeFileSync(artifact, right)
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('B8: an artifact or a manifest of another build is refused', async (t: TestContext) => {
  const { node, two, shop, artifact } = await deployed(t)
  const right = readFileSync(artifact)
  writeFileSync(artifact, readFileSync(join(shop.directory, 'b1/artifact.tar.zst')))
  const message = await failsWithHotUnchanged(node, 'DIGEST_MISMATCH', () => node.stage(two))
  assert.match(message, /the artifact of b2 has \d+ bytes, the manifest says \d+/)
  writeFileSync(artifact, right)

  const manifest = `sha256:${'0'.repeat(64)}` as Digest
  await failsWithHotUnchanged(node, 'DIGEST_MISMATCH', () => node.stage({ ...two, manifest }))
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('B1: a build whose artifact or manifest is missing leaves both trees as they are', async (t: TestContext) => {
  const { node, one, two, shop, artifact } = await deployed(t)
  await node.stage(one)
  renameSync(artifact, `${artifact}.away`)
  const message = await failsWithHotUnchanged(node, 'STORE_MISSING', () => node.stage(two))
  assert.match(message, /the artifact of b2 is not in the store; hot still runs/)
  assert.equal((await node.trees.survey()).cold?.build, 'b1', 'cold is still sealed')
  const b3 = await shop.publishFiles('b3', { logo: 'three' })
  renameSync(join(shop.directory, 'b3/manifest.json.zst'), join(shop.directory, 'b3/away'))
  await failsWithHotUnchanged(node, 'STORE_MISSING', () => node.stage(b3))

  renameSync(`${artifact}.away`, artifact)
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('B4: a store that goes mute in the middle of a body is given up after stallSeconds, and gone on with when it answers', async (t: TestContext) => {
  let mute = true
  const { node, two } = await deployed(t, (store) => ({
    ...store,
    async *read(name, options, signal) {
      if (!mute || !name.includes('artifact')) yield* store.read(name, options, signal)
      // It heeds no signal either: nobody but the watchdog ends this.
      else yield await new Promise<never>(() => undefined)
    },
  }))
  const staged = node.stage(two)
  const message = await failsWithHotUnchanged(node, 'STORE_STALLED', () => staged)
  assert.match(message, /artifact\.tar\.zst: 0 bytes came in/)
  mute = false
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

async function* trickle(part: Uint8Array): AsyncGenerator<Uint8Array> {
  for (const byte of part) {
    await delay(50)
    yield Uint8Array.of(byte)
  }
}

test('B4: a body that trickles below the least rate counts as stalled', async (t: TestContext) => {
  let slow = true
  const { node, two } = await deployed(t, (store) => ({
    ...store,
    async *read(name, options, signal) {
      if (!slow || !name.includes('artifact')) yield* store.read(name, options, signal)
      else for await (const part of store.read(name, options, signal)) yield* trickle(part)
    },
  }))
  await failsWithHotUnchanged(node, 'STORE_STALLED', () => node.stage(two))
  slow = false
  await node.deploy(two)
})

test('B5: a body that is cut off again and again is resumed where it stopped, and no byte is asked for twice', async (t: TestContext) => {
  const asked: number[] = []
  const { node, two, shop } = await deployed(t, (store) => ({
    ...store,
    async *read(name, options, signal) {
      let given = 0
      for await (const part of store.read(name, options, signal)) {
        if (!name.includes('artifact')) yield part
        else {
          given += Math.min(part.byteLength, 200)
          asked.push(Math.min(part.byteLength, 200))
          yield part.subarray(0, 200)
          if (part.byteLength > 200) throw new FleetError('STORE_UNREACHABLE', `cut after ${given} bytes`)
        }
      }
    },
  }))
  const result = await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
  const size = readFileSync(join(shop.directory, 'b2/artifact.tar.zst')).byteLength
  assert.ok(asked.length > 2 && asked.reduce((sum, bytes) => sum + bytes, 0) <= size, `${asked.length} requests`)
  assert.ok(result.fetchedBytes > 0)
})

test('B7: an object that is replaced while it is read is never mixed with the old one', async (t: TestContext) => {
  let reads = 0
  const { node, two } = await deployed(t, (store) => ({
    ...store,
    async *read(name, options, signal) {
      if (name.includes('artifact') && options.version !== undefined && ++reads === 1) {
        throw new FleetError('STORE_CHANGED', 'the object is another now')
      }
      yield* store.read(name, options, signal)
    },
  }))
  await failsWithHotUnchanged(node, 'STORE_CHANGED', () => node.stage(two))
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('B2: a store that refuses the credentials is not asked again and again', async (t: TestContext) => {
  let denied = true
  let asked = 0
  const { node, two } = await deployed(t, (store) => ({
    ...store,
    find(name, signal) {
      asked += 1
      return denied ? Promise.reject(new FleetError('STORE_DENIED', 'no')) : store.find(name, signal)
    },
  }))
  await failsWithHotUnchanged(node, 'STORE_DENIED', () => node.stage(two))
  assert.equal(asked, 2, 'once for a delta, which some stores deny when it is not there, and once for the manifest')
  denied = false
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

test('a delta that is damaged is passed over, and the build arrives by ranges', async (t: TestContext) => {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', FILES)
  const two = await shop.publishFiles('b2', { ...FILES, logo: 'new logo' }, [one])
  const delta = join(shop.directory, 'b2/from/b1.delta.zst')
  const right = readFileSync(delta)
  for (const at of [3, 40, right.byteLength - 10]) {
    const wrong = Buffer.from(right)
    wrong[at] = (wrong[at] ?? 0) ^ 0xff
    writeFileSync(delta, wrong)
    const node = await testNode(t, { store: shop.store })
    await node.deploy(one)
    const result = await node.deploy(two)
    assert.deepEqual(node.hotLines(), two.lines)
    assert.equal(result.how, 'ranges', `byte ${at}`)
  }
})

test('aborting stops a download at once and leaves hot alone', async (t: TestContext) => {
  const gate = Promise.withResolvers<void>()
  let halfway = true
  const { node, two } = await deployed(t, (store) => ({
    ...store,
    async *read(name, options, signal) {
      for await (const part of store.read(name, options, signal)) {
        yield part
        if (!halfway || !name.includes('artifact')) continue
        halfway = false
        gate.resolve()
        await once(signal, 'abort')
      }
    },
  }))
  const order = { build: two.build, manifest: two.manifest, mode: 'stage' as const }
  const stop = new AbortController()
  const staged = node.trees.stage(order, { signal: stop.signal, onProgress: () => undefined })
  await gate.promise
  stop.abort(new Error('something else is wanted now'))
  await assert.rejects(() => staged, /something else is wanted now/)
  assert.equal((await node.trees.survey()).hot?.build, 'b1')
  await node.deploy(two)
  assert.deepEqual(node.hotLines(), two.lines)
})

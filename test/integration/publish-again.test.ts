// Owns the proof that a build id means one content for ever: repeats, crashes half-way and races.
import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { memoryStore } from '#adapters/memory/store.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { openStore } from '#adapters/store.ts'
import { isFleetError } from '#fleet/errors.ts'
import { digestOf, objectsOf } from '#fleet/manifest.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { contentOf, FOREVER, publishing, refusedAs, source } from '#test/support/publishing.ts'
import { startRgw } from '#test/support/rgw.ts'

const world = { clock: systemClock, log: { debug() {}, info() {}, warn() {}, error() {} } }

test('publishing the same tree under the same id again says so, succeeds and writes nothing', async (t) => {
  const dir = await source(t)
  const store = memoryStore()
  const at = publishing(store)
  const first = await at.publish(dir, 'b1')
  const before = [...store.objects]
  at.nowMs += 5_000
  const again = await at.publish(dir, 'b1')
  assert.deepEqual({ ...again, ms: 0 }, { ...first, outcome: 'already-there', ms: 0 })
  assert.deepEqual([...store.objects], before)
})

test('an id that is published is refused to other content, and nothing is changed', async (t) => {
  const dir = await source(t)
  const store = memoryStore()
  const at = publishing(store)
  await at.publish(dir, 'b1')
  const before = [...store.objects]
  await chmod(join(dir, 'assets/large.bin'), 0o755)
  await assert.rejects(at.publish(dir, 'b1'), refusedAs('BUILD_DIFFERS'))
  // Also where the catalog has forgotten it, and where another app uses the same store.
  const forgetful = publishing(store)
  await assert.rejects(forgetful.publish(dir, 'b1'), refusedAs('BUILD_DIFFERS'))
  await assert.rejects(at.publish(dir, 'b1', { app: 'api' as never }), refusedAs('BUILD_DIFFERS'))
  assert.deepEqual([...store.objects], before)
})

test('a build whose catalog entry is missing gets it by publishing it again', async (t) => {
  const dir = await source(t)
  const store = memoryStore()
  const first = await publishing(store).publish(dir, 'b1')
  const forgetful = publishing(store)
  assert.equal((await forgetful.publish(dir, 'b1')).outcome, 'already-there')
  assert.equal((await forgetful.catalog.find(first.build, FOREVER))?.entry.manifest, first.manifest)
})

test('an artifact that the store has lost is put back, byte for byte, by publishing again; one that is cut too', async (t) => {
  const dir = await source(t)
  const store = memoryStore()
  const at = publishing(store)
  await at.publish(dir, 'b1')
  const name = objectsOf.artifact('b1')
  const before = await at.object(name)
  store.objects.delete(name)
  at.nowMs += 5_000
  assert.equal((await at.publish(dir, 'b1')).outcome, 'already-there')
  assert.deepEqual(await at.object(name), before)
  store.objects.set(name, { bytes: before.subarray(1), version: 'x' })
  assert.equal((await at.publish(dir, 'b1')).outcome, 'already-there')
  assert.deepEqual(await at.object(name), before)
})

test('a delta that is missing is added by publishing again, now that a ring runs the older build', async (t) => {
  const dir = await source(t)
  const store = memoryStore()
  const at = publishing(store)
  const b1 = await at.publish(dir, 'b1')
  await writeFile(join(dir, 'new'), 'new')
  await at.publish(dir, 'b2')
  assert.equal((await at.publish(dir, 'b2', { running: [b1] })).outcome, 'already-there')
  assert.ok(store.objects.has(objectsOf.delta('b2', 'b1')))
})

test('a publish that dies after any of its writes is finished by the next one, and every file can be had', async (t) => {
  const dir = await source(t)
  for (let survived = 0; survived < 5; survived += 1) {
    const store = memoryStore()
    const at = publishing(store)
    const b1 = await at.publish(dir, 'b1')
    await writeFile(join(dir, 'new'), `after ${survived}`)
    let writes = 0
    const dying: BuildStore = {
      ...store,
      create: async (name, body, signal) => {
        writes += 1
        if (writes > survived) throw new Error('the publisher died')
        return store.create(name, body, signal)
      },
    }
    const first = publishing(dying).publish(dir, 'b2', { running: [b1] })
    if (survived < 3) await assert.rejects(first)
    else await first
    at.nowMs += 60_000
    const { manifest: digest } = await at.publish(dir, 'b2', { running: [b1] })
    assert.equal((await at.catalog.find('b2' as typeof b1.build, FOREVER))?.entry.manifest, digest)
    const manifest = await at.manifest('b2')
    const artifact = await at.object(objectsOf.artifact('b2'))
    assert.equal(manifest.artifact.bytes, artifact.byteLength)
    for (const entry of manifest.entries) if (entry.type === 'f') contentOf(artifact, manifest, entry)
  }
})

test('what a publish of other content left half-way is not overwritten', async (t) => {
  const store = memoryStore()
  const at = publishing(store)
  await at.publish(await source(t, 1), 'b1')
  store.objects.delete(objectsOf.manifest('b1'))
  const left = store.objects.get(objectsOf.artifact('b1'))
  await assert.rejects(
    publishing(store).publish(await source(t, 2), 'b1'),
    refusedAs('BUILD_DIFFERS', /did not finish/),
  )
  assert.equal(store.objects.get(objectsOf.artifact('b1')), left)
  store.objects.set(objectsOf.artifact('b1'), { bytes: Buffer.from('garbage'), version: 'x' })
  await assert.rejects(
    publishing(store).publish(await source(t, 2), 'b1'),
    refusedAs('BUILD_DIFFERS', /did not finish/),
  )
})

test('two publishers of one id at once, on a real S3 server: the same tree is one build, of two trees one is refused', async (t) => {
  const { url, endpoint } = await startRgw(t)
  const store = await openStore({ url, endpoint }, world)
  const dir = await source(t, 1)
  const same = await Promise.allSettled([publishing(store).publish(dir, 'b1'), publishing(store).publish(dir, 'b1')])
  const manifests = same.map((result) =>
    result.status === 'fulfilled' ? result.value.manifest : String(result.reason),
  )
  assert.equal(manifests[0], manifests[1])
  const other = await source(t, 2)
  const two = await Promise.allSettled([publishing(store).publish(dir, 'b2'), publishing(store).publish(other, 'b2')])
  const refused = two.filter((result) => result.status === 'rejected')
  assert.equal(refused.length, 1)
  assert.ok(isFleetError(refused[0]?.reason, 'BUILD_DIFFERS'))
  const at = publishing(store)
  const manifest = await at.manifest('b2')
  const artifact = await at.object(objectsOf.artifact('b2'))
  for (const entry of manifest.entries) if (entry.type === 'f') contentOf(artifact, manifest, entry)
})

test('two publishers of one tree on a store that cannot refuse the second upload: the artifact is in the end the one of the manifest', async (t) => {
  const dir = await source(t)
  const store = memoryStore()
  const name = objectsOf.artifact('b1')
  // As Ceph does with uploads in parts: both are told that they created it, the later one stands.
  const careless: BuildStore = {
    ...store,
    create: async (object, body, signal) => {
      if (object === name) store.objects.delete(name)
      return store.create(object, body, signal)
    },
  }
  const first = publishing(careless)
  const second = publishing(careless)
  second.nowMs += 10_000
  const results = await Promise.all([first.publish(dir, 'b1'), second.publish(dir, 'b1')])
  assert.equal(results[0].manifest, results[1].manifest)
  const manifest = await first.manifest('b1')
  const artifact = await first.object(name)
  assert.equal(digestOf(artifact), manifest.artifact.digest)
})

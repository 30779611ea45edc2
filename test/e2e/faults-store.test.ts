// Owns the stories of a store that fails a node: missing, altered and mute objects never touch what is served.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startProxy } from '#test/support/proxy.ts'
import { startRgw } from '#test/support/rgw.ts'
import { type Story, startStory } from '#test/support/story.ts'

/** Build-a is hot, build-b published; no delta, which would carry a small change past the artifact that these stories are about. */
async function beforeArtifactFault(t: TestContext): Promise<{ story: Story; artifact: string }> {
  const story = await startStory(t)
  await story.begin('build-a')
  await story.publish('build-b', (dir) => writeFileSync(join(dir, 'new.bin'), randomBytes(300_000)))
  rmSync(join(story.store, 'build-b/from'), { recursive: true, force: true })
  return { story, artifact: join(story.store, 'build-b/artifact.tar.zst') }
}

test('B1: an artifact that is not in the store is told by name before anything is written, and by nodes; staged as soon as it is there', async (t) => {
  const { story, artifact } = await beforeArtifactFault(t)
  renameSync(artifact, `${artifact}.away`)
  const refused = await story.release('build-b')
  assert.equal(refused.code, 3, refused.stderr)
  assert.match(refused.stderr, /build-b/)
  const releasing = story.release('build-b', '--force', 'store')
  assert.match(await story.told('STORE_MISSING'), /build-b/)
  assert.equal(await story.node.hot(), 'build-a')
  renameSync(`${artifact}.away`, artifact)
  const said = await releasing
  if (said.code !== 0) {
    // It was away for longer than the node's tries: refused, and taken when it is asked for once more.
    await story.fleet.conduct('clear', 'build-b', '--reason', 'the artifact is back')
    const again = await story.fleet.conduct('release', 'build-b', '--retry', '--reason', 'the artifact is back')
    assert.equal(again.code, 0, again.stderr)
  }
  await story.served('build-b')
  assert.deepEqual(story.seen().builds, ['build-a', 'build-b'])
  assert.deepEqual(story.seen().failures, [])
})

test('B6: an altered artifact never gets in: the digest is told, hot stays, and the mended build can be released again', async (t) => {
  const { story, artifact } = await beforeArtifactFault(t)
  copyFileSync(artifact, `${artifact}.good`)
  const bytes = readFileSync(artifact)
  for (let at = 100; at < bytes.length; at += 5_000) bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at)
  writeFileSync(artifact, bytes)
  const releasing = story.release('build-b')
  assert.match(await story.told('DIGEST_MISMATCH'), /\w+ \w+/)
  assert.notEqual((await releasing).code, 0, 'the release does not report success')
  assert.equal(await story.node.hot(), 'build-a')
  assert.deepEqual(story.seen().builds, ['build-a'])
  renameSync(`${artifact}.good`, artifact)
  const cleared = await story.fleet.conduct('clear', 'build-b', '--reason', 'the artifact is mended')
  assert.equal(cleared.code, 0, cleared.stderr)
  const again = await story.fleet.conduct('release', 'build-b', '--retry', '--reason', 'the artifact is mended')
  assert.equal(again.code, 0, again.stderr)
  await story.served('build-b')
  assert.deepEqual(story.seen().failures, [])
})

test('B4: a mute S3 stalls nobody: the node says so, serves on, and stages when the bytes flow again', async (t) => {
  const rgw = await startRgw(t)
  const proxy = await startProxy(t, rgw.endpoint)
  const store = { url: `s3://${rgw.bucket}/builds`, region: 'us-east-1', pathStyle: true, endpoint: rgw.endpoint }
  const { env } = rgw
  const story = await startStory(t, {
    store,
    env,
    puller: () => ({ store: { ...store, endpoint: proxy.url }, fetch: { spreadSeconds: 0, stallSeconds: 1 } }),
  })
  await story.begin('build-a')
  await story.publish('build-b', (dir) => writeFileSync(join(dir, 'new.bin'), randomBytes(2_000_000)))
  proxy.set({ kind: 'mute' })
  const releasing = story.release('build-b')
  const sentence = await Promise.any([story.told('STORE_STALLED'), story.told('STORE_UNREACHABLE')])
  assert.match(sentence, /\w+ \w+/)
  assert.equal(await story.node.hot(), 'build-a')
  proxy.set({ kind: 'none' })
  const said = await releasing
  assert.equal(said.code, 0, said.stderr)
  await story.served('build-b')
  assert.deepEqual(story.seen().builds, ['build-a', 'build-b'])
  assert.deepEqual(story.seen().failures, [])
})

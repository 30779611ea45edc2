// Owns the stories of trees that somebody else touches: in use, written into, and files that change their kind.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { bystander, mortal } from '#test/support/child.ts'
import { treeLines } from '#test/support/source-tree.ts'
import { type Story, startStory } from '#test/support/story.ts'
import { until } from '#test/support/until.ts'

/** A process that keeps a file of the tree open that is hot now, after `before` argv (for another mount namespace). */
async function holder(t: TestContext, file: string, before: readonly string[] = []): Promise<ChildProcess> {
  const argv = [...before, 'sh', '-c', `exec 3<"${file}"; echo holding; exec sleep 600`]
  const child = spawn(...mortal(...argv), { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  await new Promise((resolve) => child.stdout?.once('data', resolve))
  return child
}

async function releaseTwo(story: Story): Promise<void> {
  await story.begin('build-a')
  await story.publish('build-b')
  await story.publish('build-c')
}

const namespaces: readonly (readonly [string, readonly string[]])[] = [
  ['', []],
  [', also from another mount namespace,', ['unshare', '-m', '--propagation', 'private']],
]
for (const [where, before] of namespaces) {
  test(`F17: a cold tree that a process still uses${where} is not written: its pid is named, and staging goes on when it ends`, async (t) => {
    const story = await startStory(t)
    await releaseTwo(story)
    // Holds a file of build-a, whose tree is cold once build-b is hot.
    const child = await holder(t, join(story.node.root, 'hot/a.txt'), before)
    assert.equal((await story.release('build-b')).code, 0)
    const releasing = story.release('build-c')
    assert.match(await story.told('COLD_BUSY'), new RegExp(`pid ${child.pid}\\b`))
    assert.equal(await story.node.hot(), 'build-b')
    child.kill('SIGKILL')
    const said = await releasing
    assert.equal(said.code, 0, said.stderr)
    await story.served('build-c')
    assert.deepEqual(story.seen().builds, ['build-a', 'build-b', 'build-c'])
    assert.deepEqual(story.seen().failures, [])
  })
}

/** Root, but without the right to look into other users' processes: what a puller in a bare container has. */
const BLINDED = ['setpriv', '--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace']
const OTHER_USER = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'sleep', '600']

test('F17: where other users’ processes cannot be read cold counts as busy, and that is told; `assumeAfterSeconds` is the way on', async (t) => {
  await bystander(t, OTHER_USER)
  const story = await startStory(t, { under: BLINDED })
  // Empty trees need no proof: both builds arrive. The third would be written over what somebody may still use.
  await releaseTwo(story)
  assert.equal((await story.release('build-b')).code, 0)
  const releasing = story.release('build-c')
  assert.match(await story.told('COLD_UNPROVABLE'), /coldInUse/, 'the sentence names the key that helps')
  assert.equal(await story.node.hot(), 'build-b')
  assert.deepEqual(story.seen().builds, ['build-a', 'build-b'])

  await story.node.stop('SIGTERM')
  appendFileSync(story.node.configFile, 'coldInUse: { assumeAfterSeconds: 1 }\n')
  story.node.start()
  const said = await releasing
  assert.equal(said.code, 0, said.stderr)
  await story.served('build-c')
  assert.deepEqual(story.seen().failures, [])
})

test('`owner` gives every file and directory of a build to that user, and to nobody else', async (t) => {
  const story = await startStory(t, { puller: () => ({ owner: { uid: 65534, gid: 65534 } }) })
  await story.begin('build-a')
  await story.publish('build-b')
  assert.equal((await story.release('build-b')).code, 0)
  for (const path of ['lib', 'a.txt', 'lib/same.txt']) {
    const { uid, gid } = lstatSync(join(story.node.root, 'hot', path))
    assert.deepEqual([uid, gid], [65534, 65534], path)
  }
})

test('C13: what an application wrote into its tree is never in the next build staged there, and the build it damaged comes back whole', async (t) => {
  const story = await startStory(t)
  await releaseTwo(story)
  writeFileSync(join(story.node.root, 'hot/cache.tmp'), 'left by the application')
  writeFileSync(join(story.node.root, 'hot/lib/same.txt'), 'changed by the application')
  mkdirSync(join(story.node.root, 'hot/uploads'))
  assert.equal((await story.release('build-b')).code, 0)
  assert.equal((await story.release('build-c')).code, 0)
  assert.deepEqual(treeLines(join(story.node.root, 'hot')), treeLines(join(story.fleet.dir, 'source-build-c')))
  const back = await story.fleet.conduct('rollback', '--reason', 'look at build-b')
  assert.equal(back.code, 0, back.stderr)
  assert.deepEqual(treeLines(join(story.node.root, 'hot')), treeLines(join(story.fleet.dir, 'source-build-b')))
  assert.deepEqual(story.seen().failures, [])
})

test('an armed rollback after the application wrote into its retired tree brings the build back as it was published', async (t) => {
  const story = await startStory(t)
  await story.begin('build-a')
  await story.publish('build-b')
  writeFileSync(join(story.node.root, 'hot/lib/same.txt'), 'changed by the application')
  writeFileSync(join(story.node.root, 'hot/extra'), 'added by the application')
  assert.equal((await story.release('build-b')).code, 0)
  await until('the old tree is armed', async () => {
    const raw = await story.consul.kv.get(`hotcold/v1/web/production/nodes/${story.node.name}`)
    return (JSON.parse(raw ?? '{}') as { armed?: boolean }).armed === true
  })
  assert.equal((await story.fleet.conduct('rollback', '--reason', 'back')).code, 0)
  assert.deepEqual(treeLines(join(story.node.root, 'hot')), treeLines(join(story.fleet.dir, 'source-build-a')))
})

test('a file that becomes a directory and a file again, and a link that becomes a file, arrive as published each time', async (t) => {
  const story = await startStory(t)
  await story.begin('build-a')
  const asDirectory = (dir: string) => {
    rmSync(join(dir, 'lib/same.txt'))
    mkdirSync(join(dir, 'lib/same.txt'))
    writeFileSync(join(dir, 'lib/same.txt/inside'), 'a directory now')
  }
  await story.publish('build-b', asDirectory)
  await story.publish('build-c')
  await story.publish('build-d', asDirectory)
  for (const build of ['build-b', 'build-c', 'build-d']) {
    const said = await story.release(build)
    assert.equal(said.code, 0, said.stderr)
    assert.deepEqual(
      treeLines(join(story.node.root, 'hot')),
      treeLines(join(story.fleet.dir, `source-${build}`)),
      build,
    )
  }
  assert.ok(existsSync(join(story.node.root, 'hot/lib/same.txt/inside')))
  assert.equal(readFileSync(join(story.node.root, 'hot/build.txt'), 'utf8'), 'build-d')
  assert.deepEqual(story.seen().failures, [])
})

// Owns the stories of trees that somebody else touches: in use, written into, and files that change their kind.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { mortal } from '#test/support/child.ts'
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

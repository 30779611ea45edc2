// Owns the stories of a node whose disk fails it: the old build is served throughout, and when the disk is well again the new one comes.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '#test/support/fleet.ts'
import { type Story, startStory } from '#test/support/story.ts'
import { tmp } from '#test/support/tmp.ts'
import { volume } from '#test/support/volume.ts'

/** Releases `build` while something is wrong, asserts that it is told and that nobody is served anything else, mends it, and waits. */
async function holdsAndRecovers(story: Story, code: string, build: string, mend: () => void): Promise<void> {
  const releasing = story.release(build)
  const sentence = await story.told(code)
  assert.match(sentence, /\w+ \w+ \w+/, 'a whole sentence')
  const log = (await story.node.log()).split('\n').filter((line) => line.startsWith('{'))
  const lines = log.map((line) => JSON.parse(line) as Record<string, unknown>)
  const told = lines.filter((line) => line.level === 'warn' && line.code === code)
  assert.equal(told.length, 1, 'the log says it too, once, however often it is tried')
  assert.equal(await story.node.hot(), 'build-a', 'hot is unchanged')
  assert.deepEqual(story.seen().builds, ['build-a'], 'only the old build was served')
  mend()
  const said = await releasing
  assert.equal(said.code, 0, said.stderr)
  await story.served(build)
  assert.deepEqual(story.seen().failures, [])
}

test('C1: a build that does not fit on the disk is refused before a byte is written, and taken when there is space', async (t) => {
  const disk = await volume(t, 'size=24m')
  const story = await startStory(t, { rootOf: () => join(disk.path, 'root') })
  await story.begin('build-a')
  writeFileSync(join(disk.path, 'ballast'), randomBytes(18_000_000))
  await story.publish('build-b', (source) => writeFileSync(join(source, 'big'), randomBytes(9_000_000)))
  await holdsAndRecovers(story, 'DISK_FULL', 'build-b', () => rmSync(join(disk.path, 'ballast')))
})

test('C3: a build with more files than the disk has inodes is refused with that word, and taken when there are some', async (t) => {
  const disk = await volume(t, 'size=64m,nr_inodes=200')
  const story = await startStory(t, { rootOf: () => join(disk.path, 'root') })
  await story.begin('build-a')
  mkdirSync(join(disk.path, 'ballast'))
  for (let index = 0; index < 120; index += 1) writeFileSync(join(disk.path, 'ballast', `${index}`), '')
  await story.publish('build-b', (source) => {
    for (let index = 0; index < 80; index += 1) writeFileSync(join(source, `extra-${index}`), `${index}`)
  })
  await holdsAndRecovers(story, 'INODES_FULL', 'build-b', () => rmSync(join(disk.path, 'ballast'), { recursive: true }))
})

test('C6: a disk that turned read-only changes nothing but the status, and the order is taken when it can be written again', async (t) => {
  const disk = await volume(t, 'size=64m')
  const story = await startStory(t, { rootOf: () => join(disk.path, 'root') })
  await story.begin('build-a')
  await story.publish('build-b')
  disk.remount('ro')
  await holdsAndRecovers(story, 'DISK_READ_ONLY', 'build-b', () => disk.remount('rw'))
})

test('D4: a second puller on the same root exits 75 naming the first one, which goes on', async (t) => {
  const story = await startStory(t)
  await story.begin('build-a')
  const second = await run([join(import.meta.dirname, '../../puller/puller'), 'run', '--config', story.node.configFile])
  assert.equal(second.code, 75, second.stderr)
  assert.match(second.stdout + second.stderr, /ROOT_TAKEN/)
  assert.match(second.stdout + second.stderr, new RegExp(`pid ${story.node.pid}\\b`), 'the owner is named by its pid')
  await story.publish('build-b')
  const said = await story.release('build-b')
  assert.equal(said.code, 0, said.stderr)
  await story.served('build-b')
  assert.deepEqual(story.seen().failures, [])
})

test('an invalid line of the config ends the puller with 2 and names file, line, key and the likely word', async (t) => {
  const dir = await tmp(t, 'config')
  const file = join(dir, 'puller.yaml')
  writeFileSync(
    file,
    `app: web\nring: production\nnode: n1\nroot: ${dir}\nstore: { url: file://${dir} }\ndran: { kind: none }\n`,
  )
  for (const verb of ['run', 'check-config']) {
    const said = await run([join(import.meta.dirname, '../../puller/puller'), verb, '--config', file])
    assert.equal(said.code, 2, said.stderr)
    assert.match(said.stdout + said.stderr, /puller\.yaml:6/)
    assert.match(said.stdout + said.stderr, /dran.*drain/s)
  }
})

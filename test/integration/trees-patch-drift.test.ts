// Owns the proof that nothing done to a cold tree, or to the small files beside it, since it was armed is in the next build that is staged there.
import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { objectsOf } from '#fleet/manifest.ts'
import { becomes, flip, keepingTime, noise, type Scene, scene, spoil } from '#test/support/patch-scene.ts'
import { putFiles } from '#test/support/tree-node.ts'

/** What was done to cold after it was armed. */
const DRIFTS: Readonly<Record<string, (cold: string) => void>> = {
  'a kept file was edited in place': (cold) => appendTo(join(cold, 'kept/dir-1/file-1')),
  'a kept file was edited in place, its time put back': (cold) => spoil(join(cold, 'kept/dir-1/file-1')),
  'a kept file was cut short, its time put back': (cold) =>
    keepingTime(join(cold, 'lone/file'), (at) => truncateSync(at, 2)),
  'a kept file was replaced': (cold) => replaced(join(cold, 'lone/file')),
  'a kept file was given a second name': (cold) => linkSync(join(cold, 'lone/file'), join(cold, '../outside')),
  'a kept file was given a second name in the tree': (cold) =>
    linkSync(join(cold, 'lone/file'), join(cold, 'touched/second')),
  'a kept file is gone': (cold) => rmSync(join(cold, 'lone/file')),
  'a kept file became a directory': (cold) => {
    rmSync(join(cold, 'lone/file'))
    mkdirSync(join(cold, 'lone/file/deep'), { recursive: true })
  },
  'a file was added at the root': (cold) => writeFileSync(join(cold, 'added'), ''),
  'a file was added where nothing changes': (cold) => writeFileSync(join(cold, 'kept/dir-2/added'), ''),
  'a file was added where something changes': (cold) => writeFileSync(join(cold, 'touched/added'), ''),
  'a file was added and is gone again': (cold) => {
    writeFileSync(join(cold, 'touched/added'), '')
    rmSync(join(cold, 'touched/added'))
  },
  'a directory became a link': (cold) => {
    renameSync(join(cold, 'touched'), join(cold, 'moved'))
    symlinkSync('moved', join(cold, 'touched'))
  },
  'a kept directory became a link to the same elsewhere': (cold) => {
    renameSync(join(cold, 'lone'), join(cold, '../lone-elsewhere'))
    symlinkSync('../lone-elsewhere', join(cold, 'lone'))
  },
  'a mode was changed': (cold) => chmodSync(join(cold, 'lone/file'), 0o600),
  'the mode of a directory was changed': (cold) => chmodSync(join(cold, 'touched'), 0o700),
  'the file that changes was edited in place': (cold) => spoil(join(cold, 'touched/page')),
  'the file whose mode changes was edited in place, its time put back': (cold) => spoil(join(cold, 'touched/same')),
  'the file whose mode changes was given a second name': (cold) =>
    linkSync(join(cold, 'touched/same'), join(cold, '../x')),
  'the file that changes is a link out of the tree': (cold) => {
    writeFileSync(join(cold, '../victim'), 'victim')
    rmSync(join(cold, 'touched/page'))
    symlinkSync('../../victim', join(cold, 'touched/page'))
  },
}

function appendTo(path: string): void {
  appendFileSync(path, 'more')
}

function replaced(path: string): void {
  keepingTime(path, (at) => {
    const content = readFileSync(at)
    rmSync(at)
    writeFileSync(at, content)
  })
}

test('C13: whatever was done to cold after it was armed, the next build is whole, and hot is as it was', async (t: TestContext) => {
  const it = await scene(t)
  let turn = 0
  for (const [story, drift] of Object.entries(DRIFTS)) {
    await t.test(story, async () => {
      turn += 1
      putFiles(it.dir, { 'touched/page': `page of turn ${turn}` })
      keepingTime(join(it.dir, 'touched/same'), (at) => chmodSync(at, turn % 4 < 2 ? 0o755 : 0o644))
      const hot = it.node.hotLines()
      const build = await it.publish()
      drift(await it.cold())
      await becomes(it.node, build)
      assert.deepEqual(it.node.hotLines(), hot)
      await it.swap()
    })
  }
})

/** What is done to the small files that only save work. */
const COURTESIES: Readonly<Record<string, (it: Scene) => Promise<void> | void>> = {
  'the difference of the trees is damaged': ({ node }) => appendFileSync(join(node.root, '.hotcold/diff'), 'x'),
  'the difference of the trees is gone': ({ node }) => rmSync(join(node.root, '.hotcold/diff')),
  'the record is damaged': async ({ cold }) => flip(`${recordOf(await cold())}`),
  'the record is gone': async ({ cold }) => rmSync(recordOf(await cold())),
  'the delta from hot is damaged in its middle': (it) => flip(deltaFrom(it, 1)),
  'both deltas are damaged in their middle': (it) => {
    for (const before of [1, 2]) flip(deltaFrom(it, before))
  },
  'there is no delta': (it) => {
    for (const before of [1, 2]) rmSync(deltaFrom(it, before))
  },
  'there is no delta from hot': (it) => rmSync(deltaFrom(it, 1)),
  'there is no delta from cold': (it) => rmSync(deltaFrom(it, 2)),
}

function recordOf(tree: string): string {
  return join(tree, '../../.hotcold', `${tree.endsWith('/a') ? 'a' : 'b'}.record`)
}

/** Of the build that was published last. */
function deltaFrom({ shop, last }: Scene, before: number): string {
  return join(shop.directory, objectsOf.delta(last().build, last(before).build))
}

test('B6: whatever happened to what only saves work, the next build is whole, and the one after it comes by its delta', async (t: TestContext) => {
  const it = await scene(t, (dir) => putFiles(dir, { 'zoo/animal': 'build two brought it' }))
  let turn = 0
  for (const [story, harm] of Object.entries(COURTESIES)) {
    await t.test(story, async () => {
      turn += 1
      const seed = turn * 10
      putFiles(it.dir, {
        'touched/page': noise(4_000, seed),
        'new/a': noise(900, seed + 1),
        'aaa/b': noise(700, seed + 2),
      })
      await it.publish()
      await harm(it)
      await becomes(it.node, it.last())
      await it.swap()
      putFiles(it.dir, { 'touched/page': `page after turn ${turn}` })
      await becomes(it.node, await it.publish(), 'delta')
      await it.swap()
    })
  }
})

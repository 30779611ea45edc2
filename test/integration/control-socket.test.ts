// Owns the proof of the puller's control socket: who may reach it, and that opening it does nothing to what is written meanwhile.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { askControl, openControl } from '#puller/shell/listen.ts'
import { Workers } from '#puller/shell/workers.ts'
import { sha256 } from '#test/support/manifests.ts'
import { tmp } from '#test/support/tmp.ts'

const FILES = 4_000

const answer = async () => ({ code: 200, body: { here: true } })

test('the control socket answers the owner of the root, and lies where nobody else may enter', async (t: TestContext) => {
  const root = await tmp(t)
  mkdirSync(join(root, '.hotcold'))
  const control = await openControl(root, answer)
  t.after(() => control.close())
  assert.deepEqual((await askControl(root, 'GET', '/status', 5_000))?.body, { here: true })
  assert.equal(statSync(join(root, '.hotcold/control')).mode & 0o777, 0o700)
})

test('D1: files that are staged while the control socket is opened have the modes of their build', async (t: TestContext) => {
  const root = await tmp(t)
  for (const part of ['.hotcold', 'tree', 'attempt']) mkdirSync(join(root, part))
  const workers = new Workers(1)
  t.after(() => workers.close())
  const tree = join(root, 'tree')
  await workers.all('openWriter', [{ tree, attempt: join(root, 'attempt'), owner: null }])
  const page = { mode: 0o644, mtime: 1_000, size: 4, content: sha256('page'), replaces: false }
  const content = Buffer.from('page')
  const files = Array.from({ length: FILES }, (_, at) => ({
    file: { ...page, entry: at, path: `page-${at}` },
    content,
  }))
  let writing = true
  const written = workers.call(0, 'writeWhole', [files, true]).finally(() => {
    writing = false
  })
  let opened = 0
  for (; writing; opened += 1) {
    await (await openControl(root, answer)).close()
    // Opening and closing alone never lets the event loop turn, so nobody would hear that all is written.
    await turn()
  }
  assert.deepEqual(await written, [])
  assert.ok(opened > 10, `opened only ${opened} times meanwhile`)
  const names = readdirSync(tree)
  assert.equal(names.length, FILES)
  assert.deepEqual(
    names.filter((name) => (statSync(join(tree, name)).mode & 0o777) !== page.mode),
    [],
  )
})

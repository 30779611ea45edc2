// Owns the named lies of deltas that once cost a node its build: a delta is a courtesy, and whatever is wrong with one, there are other ways.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { TreeWriter } from '#puller/shell/tree-writer.ts'
import type { ArchiveCase } from '#test/support/hostile/archive-case.ts'
import { openArena } from '#test/support/hostile/arena.ts'
import type { DeltaLie } from '#test/support/hostile/delta-lies.ts'
import { sha256 } from '#test/support/manifests.ts'
import { tmp } from '#test/support/tmp.ts'

/** An honest build whose delta is lied about; of a seed whose delta brings a new file in two pieces. */
function withDelta(...delta: readonly DeltaLie[]): ArchiveCase {
  // Seed 38 brings one of two pieces, and others before and after it.
  const base = 38
  const honest = {
    frames: [],
    manifest: [],
    ordered: false,
    layout: 'lines',
    text: [],
    packed: [],
    artifact: [],
  } as const
  return { base, ...honest, honestLength: true, delta, disk: [], via: 'object' }
}

test('a delta that breaks off inside a file of two pieces is given up for ranges', async (t: TestContext) => {
  const arena = await openArena(t)
  const base = await arena.bases.of(withDelta().base)
  assert.ok(base.delta !== null && base.read.entries.some(({ path }) => path === 'new/big.bin'))
  for (const [at, by] of [
    [1, 0],
    [2, 19],
    [3, 0],
    [3, 19],
    [4, -1],
  ] as const) {
    assert.equal((await arena.stage(withDelta({ on: 'cut', at, by }))).verdict, 'accepted and equal')
  }
})

test('a delta whose pieces of one file stand far apart is given up for ranges', async (t: TestContext) => {
  const arena = await openArena(t)
  for (let at = 0; at < 4; at += 1) {
    assert.equal((await arena.stage(withDelta({ on: 'pieces-apart', at }))).verdict, 'accepted and equal')
    assert.equal((await arena.stage(withDelta({ on: 'piece-drop', at }))).verdict, 'accepted and equal')
  }
})

test('a delta that claims a manifest of any length is refused, not carried out', async (t: TestContext) => {
  const arena = await openArena(t)
  for (const value of [2 ** 53 - 1, 2 ** 40, 2 ** 32, 0]) {
    const { verdict } = await arena.stage(withDelta({ on: 'head', key: 'manifestBytes', value }))
    assert.equal(verdict, 'accepted and equal')
  }
})

test('a file half written by one thread is brought whole by another once it was given up, and is no disk error before', async (t: TestContext) => {
  const dir = await tmp(t, 'writer')
  for (const name of ['tree', 'attempt']) mkdirSync(join(dir, name))
  const options = { tree: join(dir, 'tree'), attempt: join(dir, 'attempt'), owner: null }
  const [one, other] = [new TreeWriter(options), new TreeWriter(options)]
  const file = { entry: 0, path: 'x', size: 10, mode: 0o644, mtime: 1, content: sha256('0123456789'), replaces: false }
  const half = { file, offset: 0, bytes: 5, at: 0 }
  const whole = { file, content: Buffer.from('0123456789') }
  assert.deepEqual(one.writeFrame(zstdCompressSync(Buffer.from('01234')), 5, [half], true), [])
  assert.deepEqual(
    other.writeWhole([whole], false).map(({ entry }) => entry),
    [0],
    'it is told as wrong, to be brought another way',
  )
  one.giveUp([])
  assert.deepEqual(other.writeWhole([whole], true), [])
  assert.equal(readFileSync(join(dir, 'tree/x'), 'utf8'), '0123456789')
  for (const writer of [one, other]) writer.close()
})

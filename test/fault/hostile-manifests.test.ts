// Owns the named lies of manifests that were once believed.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import type { Laid } from '#test/support/hostile/archive-case.ts'
import { type Arena, openArena } from '#test/support/hostile/arena.ts'
import { sha256 } from '#test/support/manifests.ts'

interface Json {
  entries: unknown[][]
  frames: unknown[][]
  [key: string]: unknown
}

/** An honest build with a change to its manifest. */
async function changed(
  arena: Arena,
  seed: number,
  change: (json: Json) => void,
): Promise<{ build: string; laid: Laid }> {
  const base = await arena.bases.of(seed)
  const json = JSON.parse(base.bytes.toString()) as Json
  change(json)
  const manifest = Buffer.from(JSON.stringify(json))
  const laid = { manifest, manifestObject: zstdCompressSync(manifest), artifact: base.artifact, delta: null }
  return { build: base.build, laid }
}

test('a file placed inside a piece of a larger one is fetched or refused, never taken for kept: an older file stood in its place and was sealed', async (t: TestContext) => {
  const arena = await openArena(t)
  const { cold, hot } = arena.bases
  // The same path, size and time as what lies in cold, other content, and a place in a piece that hot has.
  const paths = new Set((await arena.bases.of(3)).read.entries.map(({ path }) => path))
  const old = cold.read.entries.find(
    ({ type, size, path }) => type === 'f' && size > 9 && size < 9_000 && paths.has(path),
  )
  assert.ok(old)
  const pieces = new Set((await arena.bases.of(3)).read.frames.flatMap(({ digest }) => digest ?? []))
  const digest = hot.read.frames.find((frame) => frame.digest !== undefined && pieces.has(frame.digest))?.digest
  assert.ok(digest, 'both builds have a piece of the large file')
  const { build, laid } = await changed(arena, 3, (json) => {
    const frame = json.frames.findIndex((tuple) => tuple[3] === digest)
    assert.ok(frame >= 0, 'the hostile build has the piece')
    const entry = json.entries.find((tuple) => tuple[7] === old.path)
    const tuple = ['f', old.mode, old.size, old.mtime, sha256('other'), frame, 0, old.path]
    if (entry === undefined) assert.fail('the hostile build has the path')
    entry.splice(0, 8, ...tuple)
  })
  assert.equal(await arena.stageLaid(build, laid), 'DIGEST_MISMATCH')
})

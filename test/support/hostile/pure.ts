// Owns giving hostile bytes to the pure decoders and plans: they answer or refuse with a code, and never anything else.
import assert from 'node:assert/strict'
import { zstdDecompressSync } from 'node:zlib'
import { addedEntries, decodeHead, decodeMarker, MARKER_BYTES } from '#fleet/delta.ts'
import { applyHead } from '#fleet/delta-apply.ts'
import { type ErrorCode, FleetError } from '#fleet/errors.ts'
import { fetchPlan } from '#fleet/fetch-plan.ts'
import { decodeManifest, digestOf, type Entry, type Manifest } from '#fleet/manifest.ts'
import { isNothing, type Present, pathsOf, peakOf, stagePlan, type TreeView } from '#fleet/stage-plan.ts'
import type { Laid } from './archive-case.ts'
import type { Base, Bases } from './bases.ts'

/** The value, or the code it was refused with. @throws what is no FleetError of one of these codes */
export function orCode<value>(
  codes: readonly ErrorCode[],
  decode: () => value,
): { value: value } | { code: ErrorCode } {
  try {
    return { value: decode() }
  } catch (error) {
    if (!(error instanceof FleetError) || !codes.includes(error.code)) throw error
    return { code: error.code }
  }
}

/** What an honest tree looks like to a plan. */
function viewOf(entries: readonly Entry[]): TreeView {
  return new Map(
    entries.map(({ path, type, mode, size, mtime, content }): [string, Present] => [
      path,
      {
        type,
        mode,
        size,
        mtimeMs: mtime * 1_000,
        nlink: type === 'd' ? 2 : 1,
        content: type === 'd' ? null : content,
        owned: true,
      },
    ]),
  )
}

/** Plans from an honest tree to what was believed, and back: every entry is either kept or brought in, nothing twice. */
function planAll(manifest: Manifest, base: Base): void {
  const { entries, frames } = manifest
  const view = viewOf(base.read.entries)
  for (const from of [view, new Map() as TreeView]) {
    const plan = stagePlan(entries, from, new Map())
    peakOf(plan, entries, from, false)
    pathsOf(plan, entries)
    const made = [...plan.copy.map((step) => step.entry), ...plan.fetch, ...plan.mkdir, ...plan.links]
    assert.equal(new Set(made).size, made.length, 'nothing is made twice')
  }
  const itself = viewOf(entries)
  assert.ok(isNothing(stagePlan(entries, itself, new Map())), 'a tree that is the build needs nothing')
  const files = entries.flatMap(({ type }, index) => (type === 'f' ? [index] : []))
  const plan = fetchPlan(entries, frames, manifest.artifact.bytes, files)
  const had = [...plan.pieces.values()].flat().reduce((sum, { bytes }) => sum + bytes, 0)
  const size = entries.reduce((sum, entry) => sum + entry.size, 0)
  assert.equal(had, size, 'the pieces of all files are all their bytes')
  for (const segment of plan.chains.flat()) assert.ok(segment.start + segment.bytes <= manifest.artifact.bytes)
}

function decodeDelta(delta: Buffer, laid: Laid, hot: Base): void {
  const codes: readonly ErrorCode[] = ['DELTA_INVALID', 'MANIFEST_INVALID', 'DIGEST_MISMATCH']
  const expected = { fromManifest: hot.manifest, manifest: digestOf(laid.manifest) }
  const head = orCode(codes, () => {
    const { bytes, rawBytes } = decodeMarker(delta.subarray(0, MARKER_BYTES), 'head')
    let raw: Buffer
    try {
      raw = zstdDecompressSync(delta.subarray(MARKER_BYTES, MARKER_BYTES + bytes), {
        maxOutputLength: Math.max(1, rawBytes),
      })
    } catch (cause) {
      throw new FleetError('DELTA_INVALID', 'not to be decompressed', { cause })
    }
    return decodeHead(raw, expected)
  })
  if ('code' in head) return
  addedEntries(head.value.entrySplice)
  const applied = orCode(codes, () => applyHead(head.value, hot.bytes))
  if ('value' in applied)
    assert.ok(
      Buffer.from(applied.value.manifest).equals(laid.manifest),
      'a delta gives the ordered manifest or nothing',
    )
}

/** @returns what the manifest's decoder says of it */
export function decodeAll(laid: Laid, base: Base, bases: Bases): ErrorCode | 'believed' {
  if (laid.delta !== null) decodeDelta(laid.delta, laid, bases.hot)
  const expected = { digest: digestOf(laid.manifest), app: base.read.app, build: base.build }
  const read = orCode(['MANIFEST_INVALID', 'LIMITS_EXCEEDED'], () => decodeManifest(laid.manifest, expected))
  if ('code' in read) return read.code
  planAll(read.value, base)
  return 'believed'
}

// Owns manifests made up for tests: small trees, placed in frames as a publisher would, without any bytes behind them.
import { createHash } from 'node:crypto'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import { CHUNK_BYTES, type Entry, encodeManifest, type Frame, type Manifest, treeDigestOf } from '#fleet/manifest.ts'
import { MOST } from '#fleet/manifest-rules.ts'
import { comparePaths, parentOf } from '#fleet/paths.ts'

/** A file (its content as text, or a length with a seed for each chunk), a link, or a directory. */
export type Made =
  | { readonly text: string; readonly mode?: number; readonly mtime?: number }
  | { readonly chunks: readonly string[]; readonly lastBytes: number }
  | { readonly link: string }
  | { readonly directory: true; readonly mode?: number }

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A manifest of these paths; directories on the way are added. Small files share frames of at most `frameBytes`. */
export function manifestOf(
  paths: Readonly<Record<string, Made>>,
  options: { readonly app?: string; readonly build?: string; readonly frameBytes?: number } = {},
): Manifest {
  const all = new Map<string, Made>(Object.entries(paths))
  for (const path of Object.keys(paths)) {
    for (let at = parentOf(path); at !== ''; at = parentOf(at)) if (!all.has(at)) all.set(at, { directory: true })
  }
  const frames: Frame[] = []
  const entries: Entry[] = []
  let held = 0
  let offset = 0
  const frameBytes = options.frameBytes ?? 4_096
  const close = (rawBytes: number, digest?: string) => {
    // A made-up compressed length that depends on what is in the frame.
    const bytes = 20 + Math.ceil(rawBytes / 2)
    frames.push({ offset, bytes, rawBytes, ...(digest !== undefined && { digest }) })
    offset += bytes
  }
  for (const path of [...all.keys()].sort(comparePaths)) {
    const made = all.get(path)
    const shape = { mode: 0, size: 0, mtime: 1_700_000_000, content: '', frame: 0, offset: 0, path }
    if (made === undefined) continue
    if (held > frameBytes) {
      close(held)
      held = 0
    }
    held += 512
    if ('directory' in made) entries.push({ ...shape, type: 'd', mode: made.mode ?? 0o755 })
    else if ('link' in made) entries.push({ ...shape, type: 'l', content: made.link })
    else if ('text' in made) {
      const size = Buffer.byteLength(made.text)
      const place = size === 0 ? {} : { frame: frames.length, offset: held }
      const times = made.mtime === undefined ? {} : { mtime: made.mtime }
      entries.push({
        ...shape,
        type: 'f',
        mode: made.mode ?? 0o644,
        size,
        content: sha256(made.text),
        ...place,
        ...times,
      })
      held += size
    } else {
      close(held)
      held = 0
      const size = (made.chunks.length - 1) * CHUNK_BYTES + made.lastBytes
      const content = sha256(JSON.stringify(made))
      entries.push({ ...shape, type: 'f', mode: 0o644, size, content, frame: frames.length })
      made.chunks.forEach((seed, index) => {
        close(index === made.chunks.length - 1 ? made.lastBytes : CHUNK_BYTES, sha256(seed))
      })
    }
  }
  close(held + 1_024)
  return {
    app: (options.app ?? 'web') as Name,
    build: (options.build ?? 'b1') as BuildId,
    commit: null,
    createdAt: '2026-11-22T16:04:12.000Z',
    treeDigest: treeDigestOf(entries),
    artifact: { digest: `sha256:${sha256('artifact')}` as Digest, bytes: offset },
    limits: MOST,
    frames,
    entries,
  }
}

/** A small tree with one of each. */
export const TREE: Readonly<Record<string, Made>> = {
  'bin/run': { text: '#!/bin/sh', mode: 0o755 },
  'bin/go': { link: 'run' },
  'lib/a.js': { text: 'a' },
  'lib/b': { directory: true, mode: 0o700 },
  big: { chunks: ['x', 'y'], lastBytes: 5 },
  empty: { text: '' },
  ünïcode: { text: 'ü' },
}

export type Json = {
  entries: unknown[][]
  frames: unknown[][]
  limits: Record<string, unknown>
  [key: string]: unknown
}

/** The manifest of TREE, changed by a hostile or clumsy hand. */
export function tampered(change: (manifest: Json) => void): Uint8Array {
  const value = JSON.parse(Buffer.from(encodeManifest(manifestOf(TREE))).toString()) as Json
  change(value)
  return Buffer.from(JSON.stringify(value))
}

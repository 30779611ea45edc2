// Owns the three builds of the demo: a tree of a few thousand files each, a hundredth changed from one to the next, the third broken.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface DemoBuild {
  readonly id: string
  /** 1, 2 or 3: what has changed up to here. */
  readonly ordinal: number
  /** Pages of a broken build cannot be rendered. */
  readonly broken: boolean
}

const DIRECTORIES = 60
const FILES_PER_DIRECTORY = 40
/** One asset in this many differs from build to build. */
const CHANGED_ONE_IN = 100
const BUNDLES = 8
const BUNDLE_BYTES = 192 * 1024

/** A page is rendered from these two; both carry the build's id, so that an answer shows which builds it came from. */
export const PAGE_FILES = { layout: 'web/layout.html', content: 'web/content.html' } as const
/** Where the layout takes the content. The broken build has lost it. */
export const CONTENT_MARK = '<!-- content -->'

/** Writes a build's tree into `dir`. The same ordinal gives the same assets, whatever the id. Returns the count of files. */
export function writeBuild(dir: string, build: DemoBuild): number {
  let files = 0
  const made = new Set<string>()
  const write = (path: string, content: string | Uint8Array): void => {
    const parent = dirname(path)
    if (!made.has(parent)) mkdirSync(join(dir, parent), { recursive: true })
    made.add(parent)
    writeFileSync(join(dir, path), content)
    files += 1
  }
  for (let directory = 0; directory < DIRECTORIES; directory += 1) {
    for (let file = 0; file < FILES_PER_DIRECTORY; file += 1) {
      const index = directory * FILES_PER_DIRECTORY + file
      write(`assets/${padded(directory)}/module-${padded(file)}.js`, asset(index, revisionOf(index, build.ordinal)))
    }
  }
  for (let bundle = 0; bundle < BUNDLES; bundle += 1) {
    // One bundle a build is compiled anew; the others stay as they were.
    const revision = bundle < build.ordinal ? build.ordinal : 1
    write(`bundles/bundle-${bundle}.bin`, noise(900_000 + bundle * 10 + revision, BUNDLE_BYTES))
  }
  write(`assets/added-in-${build.ordinal}.js`, asset(1_000_000 + build.ordinal, 1))
  write('bin/serve', '#!/bin/sh\necho "the demo has its own server"\n')
  chmodSync(join(dir, 'bin/serve'), 0o755)
  mkdirSync(join(dir, 'web'), { recursive: true })
  symlinkSync('../assets/000/module-000.js', join(dir, 'web/entry.js'))
  const body = build.broken ? '' : CONTENT_MARK
  write(PAGE_FILES.layout, `<!doctype html>\n<html data-layout="${build.id}">\n<body>${body}</body>\n</html>\n`)
  write(PAGE_FILES.content, `<main data-content="${build.id}">Hello from build ${build.ordinal}.</main>\n`)
  return files
}

/** The last build up to `ordinal` in which an asset changed. */
function revisionOf(index: number, ordinal: number): number {
  let revision = 1
  for (let build = 2; build <= ordinal; build += 1) {
    if ((index * 31 + build * 17) % CHANGED_ONE_IN === 0) revision = build
  }
  return revision
}

/** Source-like text of 0.3 to 6 KiB, that compresses as source does. */
function asset(index: number, revision: number): string {
  const next = dice(index * 7_919 + revision * 104_729)
  const lines = 8 + (next() % 120)
  const text: string[] = [`// module ${index}, revision ${revision}`]
  for (let line = 0; line < lines; line += 1)
    text.push(`export const value${line} = ${next() % 100_000} // ${next().toString(36)}`)
  return `${text.join('\n')}\n`
}

/** Bytes that do not compress, as images and archives. */
function noise(seed: number, bytes: number): Uint8Array {
  const next = dice(seed)
  const words = new Uint32Array(bytes / 4)
  for (let at = 0; at < words.length; at += 1) words[at] = next()
  return new Uint8Array(words.buffer)
}

/** Repeatable chance (xorshift32): the demo travels the same bytes each time. */
function dice(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  return () => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
}

function padded(number: number): string {
  return String(number).padStart(3, '0')
}

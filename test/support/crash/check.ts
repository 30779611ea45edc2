// Owns the invariants of a root as they are read off the disk, by nothing of the puller's own: I1 to I5 of docs/architecture.md.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { BuildId, Digest } from '#fleet/build.ts'
import type { Manifest } from '#fleet/manifest.ts'
import { decodeJournal } from '#puller/core/journal.ts'
import { treeLines } from '../source-tree.ts'

/** A published build and what a tree of it looks like; see `treeLines`, with times. */
export interface Published {
  readonly build: BuildId
  readonly manifest: Digest
  readonly lines: readonly string[]
}

export function linesOf(manifest: Manifest): readonly string[] {
  return manifest.entries
    .map(({ type, mode, content, mtime, path }) => {
      if (type === 'd') return `d ${mode.toString(8)} ${path}`
      return type === 'l' ? `l ${content} ${path}` : `f ${mode.toString(8)} ${content} ${mtime} ${path}`
    })
    .sort()
}

interface RawSeal {
  readonly build: string
  readonly manifest: string
  /** All of what the seal holds. */
  readonly text: string
}

/** What lies on a root's disk. */
export interface Facts {
  readonly hot: string | null
  readonly generation: number | null
  readonly journal: 'none' | 'readable' | 'unreadable'
  readonly seals: Readonly<Record<'a' | 'b', RawSeal | null>>
  /** Every inode below `hot` with all that a write would change; null when there is no hot. */
  readonly inodes: string | null
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

function parsed(text: string | null): Readonly<Record<string, unknown>> | null {
  try {
    return text === null ? null : (JSON.parse(text) as Record<string, unknown> | null)
  } catch {
    return null
  }
}

function sealIn(path: string): RawSeal | null {
  const text = read(path)
  const { build, manifest } = parsed(text) ?? {}
  return text !== null && typeof build === 'string' && typeof manifest === 'string' ? { build, manifest, text } : null
}

function linkIn(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}

function journalIn(path: string): Facts['journal'] {
  const text = read(path)
  if (text === null) return 'none'
  try {
    return decodeJournal(JSON.parse(text)) === null ? 'unreadable' : 'readable'
  } catch {
    return 'unreadable'
  }
}

function inodesBelow(dir: string): string {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((path) => {
      const { ino, size, mtimeMs, ctimeMs, mode, nlink } = lstatSync(join(dir, path))
      return [path, ino, size, mtimeMs, ctimeMs, mode, nlink].join(' ')
    })
    .sort()
    .join('\n')
}

export function look(root: string): Facts {
  const hot = linkIn(join(root, 'hot'))
  const generation = parsed(read(join(root, '.hotcold/ratchet.json')))?.generation
  return {
    hot,
    generation: typeof generation === 'number' ? generation : null,
    journal: journalIn(join(root, '.hotcold/journal.json')),
    seals: { a: sealIn(join(root, 'trees/a.seal')), b: sealIn(join(root, 'trees/b.seal')) },
    inodes: hot === null ? null : inodesBelow(join(root, 'trees', hot.slice('trees/'.length))),
  }
}

/** How a tree differs from a build: empty when byte for byte, mode, type and time of each file are the build's, and nothing else is there. */
function differences(dir: string, { lines }: Published): readonly string[] {
  const there = treeLines(dir, { mtimes: true })
  const have = new Set(there)
  const want = new Set(lines)
  return [
    ...lines.filter((line) => !have.has(line)),
    ...there.filter((line) => !want.has(line)).map((l) => `extra ${l}`),
  ]
}

/**
 * Everything that a crash at any moment must leave true.
 * @param ordered generation of the order that is carried out: it is on disk before anything is done about it
 * @returns what is not so, in words; empty when all is well
 */
export function violations(
  root: string,
  before: Facts,
  builds: readonly Published[],
  ordered: number | null,
): readonly string[] {
  const now = look(root)
  const wrong: string[] = []
  const say = (text: string, list: readonly string[] = []) =>
    wrong.push(
      list.length === 0
        ? text
        : `${text}: ${list.slice(0, 4).join('; ')}${list.length > 4 ? ` and ${list.length - 4} more` : ''}`,
    )

  if (now.hot === null && before.hot !== null) say('I1 hot is gone')
  if (now.hot !== null && !/^trees\/[ab]$/.test(now.hot)) say(`I1 hot leads to ${now.hot}`)
  for (const tree of ['a', 'b'] as const) {
    const dir = join(root, 'trees', tree)
    const isHot = now.hot === `trees/${tree}`
    const seal = now.seals[tree]
    if (seal === null) {
      if (isHot) say(`I1 hot leads to trees/${tree}, which has no seal that can be read`)
      continue
    }
    const build = builds.find((it) => it.build === seal.build && it.manifest === seal.manifest)
    if (build === undefined) {
      say(`I2 trees/${tree} is sealed as ${seal.build}, which nobody published`)
      continue
    }
    // A tree that somebody else changed before we came has the seal that it had: it is swept before it is used.
    if (!isHot && seal.text === before.seals[tree]?.text) continue
    const list = differences(dir, build)
    if (list.length > 0) say(`${isHot ? 'I1 hot' : 'I2 a sealed tree'} is not ${seal.build}`, list)
  }
  if (now.hot !== null && now.hot === before.hot && now.inodes !== before.inodes) say('I3 the hot tree was written to')
  if ((now.generation ?? -1) < (before.generation ?? -1)) {
    say(`I4 the ratchet fell from ${before.generation} to ${now.generation}`)
  }
  const news = [now.seals.a, now.seals.b].filter((seal) => seal !== null && !buildsIn(before).includes(seal.build))
  const acted = now.hot !== before.hot || news.length > 0
  if (acted && ordered !== null && (now.generation ?? -1) < ordered) {
    say(`I4 order ${ordered} was carried out with the ratchet at ${now.generation}`)
  }
  if (now.journal === 'unreadable') say('I5 the journal cannot be read')
  return wrong
}

function buildsIn({ seals }: Facts): readonly (string | undefined)[] {
  return [seals.a?.build, seals.b?.build]
}

/** What is served: how `hot` differs from a build. */
export function servedWrong(root: string, wanted: Published): readonly string[] {
  return linkIn(join(root, 'hot')) === null ? ['there is no hot'] : differences(join(root, 'hot'), wanted)
}

/** Temporary files that a stop left lying. */
export function leftovers(root: string): readonly string[] {
  const dirs = ['.', 'trees', '.hotcold', '.hotcold/manifests', '.hotcold/tmp']
  return dirs.flatMap((dir) =>
    readdirSync(join(root, dir))
      .filter((name) => dir.endsWith('/tmp') || (name.startsWith('.') && name.endsWith('.tmp')))
      .map((name) => join(dir, name)),
  )
}

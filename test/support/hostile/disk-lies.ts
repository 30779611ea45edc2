// Owns damage to a puller's own small files: what a bad disk, a bad restore or another version leaves behind.
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { type ByteLie, byteLieArb, hostileJson, lieAboutBytes, valueArb } from './text.ts'

const FILES = [
  'hot seal',
  'cold seal',
  'marks',
  'journal',
  'ratchet',
  'session',
  'clean',
  'reserve',
  'hot manifest',
  'cold manifest',
] as const
type DamagedFile = (typeof FILES)[number]

export type DiskLie =
  | { readonly file: DamagedFile; readonly damage: 'bytes'; readonly lie: ByteLie }
  | { readonly file: DamagedFile; readonly damage: 'key'; readonly key: string; readonly value: unknown }
  | { readonly file: DamagedFile; readonly damage: 'huge' | 'gone' | 'newer version' | 'of the other tree' }

const KEYS = [
  'v',
  'app',
  'build',
  'manifest',
  'at',
  'entries',
  'record',
  'retired',
  'armed',
  'phase',
  'job',
  'generation',
  'modifyIndex',
  'bare',
  'refusals',
  'move',
  'crashes',
  '__proto__',
]
const file = fc.constantFrom(...FILES)

export const diskLieArb: fc.Arbitrary<DiskLie> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ file, damage: fc.constant('bytes' as const), lie: byteLieArb }) },
  {
    weight: 3,
    arbitrary: fc.record({ file, damage: fc.constant('key' as const), key: fc.constantFrom(...KEYS), value: valueArb }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ file, damage: fc.constantFrom('huge', 'gone', 'newer version', 'of the other tree') }),
  },
)

const HUGE_BYTES = 8 * 1024 * 1024

/** The small files of a root, each by its path, so that they can be put back. */
export function smallFiles(root: string): ReadonlyMap<string, Buffer> {
  const state = join(root, '.hotcold')
  const beside = ['a.seal', 'b.seal'].map((name) => join(root, 'trees', name))
  const own = ['marks.json', 'journal.json', 'ratchet.json', 'session', 'clean', 'reserve'].map((name) =>
    join(state, name),
  )
  const copies = readdirSync(join(state, 'manifests')).map((name) => join(state, 'manifests', name))
  return new Map([...beside, ...own, ...copies].filter(existsSync).map((path) => [path, readFileSync(path)]))
}

/** Puts the small files back as they were. */
export function putBack(root: string, files: ReadonlyMap<string, Buffer>): void {
  for (const path of smallFiles(root).keys()) if (!files.has(path)) rmSync(path)
  for (const [path, bytes] of files) writeFileSync(path, bytes)
}

/** Where trees stand and which manifests they were sealed with. */
export interface DamagedRoot {
  readonly root: string
  readonly hot: { readonly tree: 'a' | 'b'; readonly manifest: string }
  readonly cold: { readonly tree: 'a' | 'b'; readonly manifest: string }
}

function placeOf({ root, hot, cold }: DamagedRoot, file: DamagedFile): string {
  const which = file.startsWith('hot') ? hot : cold
  if (file.endsWith('seal')) return join(root, 'trees', `${which.tree}.seal`)
  if (file.endsWith('manifest'))
    return join(root, '.hotcold/manifests', `${which.manifest.slice('sha256:'.length)}.json`)
  return join(root, '.hotcold', ['marks', 'journal', 'ratchet'].includes(file) ? `${file}.json` : file)
}

/** Damages one file of a root whose puller is down. */
export function damage(at: DamagedRoot, lie: DiskLie): void {
  const path = placeOf(at, lie.file)
  const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0)
  switch (lie.damage) {
    case 'bytes':
      writeFileSync(path, lieAboutBytes(bytes, lie.lie))
      return
    case 'gone':
      rmSync(path, { force: true })
      return
    case 'huge':
      writeFileSync(path, bytes)
      truncateSync(path, HUGE_BYTES)
      return
    case 'newer version':
      writeFileSync(path, bytes.toString().replace(/"v":1/, '"v":2'))
      return
    case 'of the other tree': {
      const [one, other] = [placeOf(at, 'hot seal'), placeOf(at, 'cold seal')]
      const source = path === one ? other : one
      // Another lie may have taken it away before.
      if (existsSync(source)) writeFileSync(path, readFileSync(source))
      return
    }
    case 'key':
      writeFileSync(path, withKey(bytes, lie.key, lie.value))
  }
}

function withKey(bytes: Buffer, key: string, value: unknown): Buffer {
  try {
    const json: unknown = JSON.parse(bytes.toString())
    if (typeof json !== 'object' || json === null) return hostileJson(value)
    Object.defineProperty(json, key, { value, enumerable: true, configurable: true })
    return hostileJson(json)
  } catch {
    return hostileJson(value)
  }
}

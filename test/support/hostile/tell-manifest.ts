// Owns telling a lie about a manifest: what `manifest-lies.ts` describes is done to the JSON of an honest one.
import { comparePaths, parentOf } from '#fleet/paths.ts'
import type { LooseManifest, ManifestLie } from './manifest-lies.ts'
import { CANARY, type PathLie } from './path-lies.ts'

type Tuple = unknown[]

const isTuple = (value: unknown): value is Tuple => Array.isArray(value)
const pathOf = (entry: unknown): string => (isTuple(entry) && typeof entry[7] === 'string' ? entry[7] : '')

/** Puts entries into the order of their paths and gives each its parents, so that nothing but the lie is wrong. */
export function inOrder(manifest: LooseManifest): void {
  const known = new Set(manifest.entries.map(pathOf))
  for (const entry of manifest.entries.slice()) {
    for (let at = parentOf(pathOf(entry)); at !== '' && !known.has(at) && known.size < 2_000; at = parentOf(at)) {
      known.add(at)
      manifest.entries.push(['d', 0o755, 0, 0, '', 0, 0, at])
    }
  }
  manifest.entries.sort((a, b) => comparePaths(pathOf(a), pathOf(b)))
}

function liedPath(manifest: LooseManifest, lie: PathLie, canary: string): string {
  if (lie.path === 'literal') return lie.text.replace(CANARY, canary)
  const entries = Array.isArray(manifest.entries) ? manifest.entries : []
  const of = pathOf(entries[lie.of % Math.max(1, entries.length)])
  const name = of.slice(of.lastIndexOf('/') + 1)
  switch (lie.path) {
    case 'child':
      return `${of}/child`
    case 'upper':
      return of.toUpperCase()
    case 'composed':
      return of.normalize('NFD') === of ? `${of}é` : of.normalize('NFD')
    case 'same':
      return of
    case 'above':
      return `${of}/../../${name}`
    case 'slash':
      return `${of}/`
    case 'sibling':
      return `${of}.x`
  }
}

/** @param canary absolute path of the directory that must stay as it is */
export function tellManifest(manifest: LooseManifest, lie: ManifestLie, canary: string): void {
  // A lie before may have left no list.
  const entries = Array.isArray(manifest.entries) ? manifest.entries : []
  const frames = Array.isArray(manifest.frames) ? manifest.frames : []
  const pick = (list: readonly unknown[], at: number) => at % Math.max(1, list.length)
  switch (lie.on) {
    case 'entry': {
      const entry = entries[pick(entries, lie.at)]
      if (isTuple(entry)) entry[lie.field] = lie.value
      return
    }
    case 'path': {
      const entry = entries[pick(entries, lie.at)]
      if (isTuple(entry)) entry[7] = liedPath(manifest, lie.to, canary)
      return
    }
    case 'add': {
      const content = typeof lie.content === 'string' ? lie.content.replace(CANARY, canary) : lie.content
      entries.push([lie.type, lie.mode, 0, 1_700_000_000, content, 0, 0, liedPath(manifest, lie.to, canary)])
      return
    }
    case 'links':
      for (const [path, target] of lie.links) entries.push(['l', 0, 0, 1_700_000_000, target, 0, 0, path])
      return
    case 'drop':
      entries.splice(pick(entries, lie.at), 1)
      return
    case 'twice':
      entries.splice(pick(entries, lie.at), 0, structuredClone(entries[pick(entries, lie.at)]))
      return
    case 'first':
      entries.unshift(...entries.splice(pick(entries, lie.at), 1))
      return
    case 'last':
      entries.push(...entries.splice(pick(entries, lie.at), 1))
      return
    case 'swap-content':
      swapContent(entries, lie.at)
      return
    case 'place': {
      const entry = entries[pick(entries, lie.at)]
      if (!isTuple(entry)) return
      for (const [field, by] of [
        [5, lie.frame],
        [6, lie.offset],
        [2, lie.size],
      ] as const)
        entry[field] = Number(entry[field]) + by
      return
    }
    case 'head':
      own(manifest, lie.key, lie.value)
      return
    case 'limit':
    case 'artifact': {
      const within = manifest[lie.on === 'limit' ? 'limits' : 'artifact']
      if (typeof within === 'object' && within !== null) own(within, lie.key, lie.value)
      return
    }
    case 'list':
      own(manifest, lie.key, lie.value)
      return
    case 'item':
      if (Array.isArray(manifest[lie.key])) manifest[lie.key][pick(manifest[lie.key], lie.at)] = lie.value
      return
    default:
      tellFrames(frames, lie)
  }
}

/** A key of the object itself, also where the language keeps another meaning for its name. */
function own(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

/** Two files with each other's digest and size, each still at its own place. */
function swapContent(entries: unknown[], at: number): void {
  const files = entries.filter((entry): entry is Tuple => isTuple(entry) && entry[0] === 'f')
  const [one, other] = [files[at % Math.max(1, files.length)], files[(at + 1) % Math.max(1, files.length)]]
  if (one === undefined || other === undefined) return
  for (const field of [2, 4]) [one[field], other[field]] = [other[field], one[field]]
}

function tellFrames(frames: unknown[], lie: Extract<ManifestLie, { on: `frame${string}` }>): void {
  const at = lie.at % Math.max(1, frames.length)
  const frame = frames[at]
  if (lie.on === 'frame' && isTuple(frame)) frame[lie.field] = lie.value
  if (lie.on === 'frame-drop') frames.splice(at, 1)
  if (lie.on === 'frame-twice') frames.splice(at, 0, structuredClone(frame))
  if (lie.on === 'frame-swap') frames.push(...frames.splice(at, 1))
}

// Owns one hostile build as plain data: which lies are told about which honest build, and the objects that come of it.
import { constants, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { digestOf, ENTRIES_LINE, LAST_LINE } from '#fleet/manifest.ts'
import { type ArtifactLie, artifactLieArb, type FrameLie, frameLieArb, remade, tellArtifact } from './artifact-lies.ts'
import type { Base } from './bases.ts'
import { type DeltaLie, deltaLieArb, tellDelta } from './delta-lies.ts'
import { type DiskLie, diskLieArb } from './disk-lies.ts'
import { type LooseManifest, type ManifestLie, manifestLieArb } from './manifest-lies.ts'
import { inOrder, tellManifest } from './tell-manifest.ts'
import { type ByteLie, byteLieArb, hostileJson, lieAboutBytes, valueArb } from './text.ts'

/** A lie that is told in the text of a manifest, since its JSON cannot hold it. */
type TextLie =
  | { readonly text: 'bytes'; readonly lie: ByteLie }
  | { readonly text: 'key twice'; readonly key: string; readonly value: unknown; readonly last: boolean }
  | { readonly text: 'deep'; readonly levels: number }
  | { readonly text: 'mark' | 'after' | 'utf-16' }
  | { readonly text: 'many'; readonly count: number }

export interface ArchiveCase {
  /** Seed of the honest build. */
  readonly base: number
  readonly frames: readonly FrameLie[]
  readonly manifest: readonly ManifestLie[]
  /** Entries are put in the order of their paths after the lies: only what else is wrong remains. */
  readonly ordered: boolean
  readonly layout: 'lines' | 'compact' | 'indented'
  readonly text: readonly TextLie[]
  /** Told after the manifest was packed: the order names the digest of the honest one. */
  readonly packed: readonly ByteLie[]
  readonly artifact: readonly ArtifactLie[]
  /** The manifest says the length that the artifact really has. */
  readonly honestLength: boolean
  readonly delta: readonly DeltaLie[]
  readonly disk: readonly DiskLie[]
  /** How the manifest reaches the node: as an object, or spliced by a delta that brings every line of it. */
  readonly via: 'object' | 'delta'
}

const textLieArb: fc.Arbitrary<TextLie> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ text: fc.constant('bytes' as const), lie: byteLieArb }) },
  {
    weight: 4,
    arbitrary: fc.record({
      text: fc.constant('key twice' as const),
      key: fc.constantFrom('v', 'app', 'build', 'entries', 'frames', 'limits', 'artifact', '__proto__'),
      value: valueArb,
      last: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ text: fc.constant('deep' as const), levels: fc.constantFrom(10, 1_000, 20_000, 200_000) }),
  },
  { weight: 1, arbitrary: fc.record({ text: fc.constantFrom('mark', 'after', 'utf-16') }) },
  { weight: 1, arbitrary: fc.record({ text: fc.constant('many' as const), count: fc.constantFrom(100, 20_000) }) },
)

const none = fc.constant([])
const some = <value>(arbitrary: fc.Arbitrary<value>, most = 2) => fc.array(arbitrary, { minLength: 1, maxLength: most })
const layout = fc.constantFrom('lines', 'lines', 'compact', 'indented')
const HONEST = {
  base: fc.nat({ max: 39 }),
  frames: none,
  manifest: none,
  ordered: fc.boolean(),
  layout: fc.constant('lines'),
  text: none,
  packed: none,
  artifact: none,
  honestLength: fc.boolean(),
  delta: none,
  disk: none,
  via: fc.constant('object'),
}
const lying = (lies: Partial<Record<keyof typeof HONEST, fc.Arbitrary<unknown>>>) =>
  fc.record({ ...HONEST, ...lies }) as unknown as fc.Arbitrary<ArchiveCase>

/** Every kind of hostile build; most are wrong in one place only, so that no lie hides another. */
export const archiveCaseArb: fc.Arbitrary<ArchiveCase> = fc.oneof(
  { weight: 24, arbitrary: lying({ manifest: some(manifestLieArb, 3), layout }) },
  { weight: 8, arbitrary: lying({ manifest: some(manifestLieArb), via: fc.constant('delta') }) },
  { weight: 5, arbitrary: lying({ text: some(textLieArb), layout }) },
  { weight: 2, arbitrary: lying({ packed: some(byteLieArb, 1) }) },
  { weight: 8, arbitrary: lying({ frames: some(frameLieArb) }) },
  { weight: 8, arbitrary: lying({ artifact: some(artifactLieArb) }) },
  { weight: 14, arbitrary: lying({ delta: some(deltaLieArb) }) },
  { weight: 8, arbitrary: lying({ disk: some(diskLieArb) }) },
  {
    weight: 4,
    arbitrary: lying({
      manifest: some(manifestLieArb, 1),
      frames: some(frameLieArb),
      artifact: some(artifactLieArb),
      delta: some(deltaLieArb),
      disk: some(diskLieArb),
    }),
  },
  { weight: 1, arbitrary: lying({}) },
)

/** The objects of a hostile build, ready to lie in a store. Null: there is none. */
export interface Laid {
  /** Decompressed bytes that the order's digest is over. */
  readonly manifest: Buffer
  readonly manifestObject: Buffer | null
  readonly artifact: Buffer | null
  readonly delta: Buffer | null
}

/** @param canary see `tellManifest` · @param hot the build that a delta begins from */
export function lay(hostile: ArchiveCase, base: Base, hot: Base, canary: string): Laid {
  const { artifact: remadeArtifact, frames } = remade(base.artifact, base.read.frames, hostile.frames)
  const json = JSON.parse(base.bytes.toString()) as LooseManifest
  if (hostile.frames.length > 0) json.frames = frames.map((tuple) => [...tuple])
  let artifact: Buffer | null = remadeArtifact
  for (const lie of hostile.artifact) {
    if (artifact !== null) artifact = tellArtifact(artifact, base.read.frames, hot.artifact, lie)
  }
  if (hostile.honestLength || hostile.artifact.length === 0) {
    json.artifact = { ...(json.artifact as object), bytes: artifact?.byteLength ?? 0 }
  }
  for (const lie of hostile.manifest) tellManifest(json, lie, canary)
  if (hostile.ordered && Array.isArray(json.entries)) inOrder(json)
  const manifest = hostile.text.reduce(tellText, laidOut(json, hostile.layout))
  const bytes = hostile.packed.reduce<Buffer>(lieAboutBytes, zstdCompressSync(manifest))
  let delta = base.delta === null ? null : hostile.delta.reduce(tellDelta, base.delta)
  if (hostile.via === 'delta') delta = carrying(manifest, hot, base.build)
  else if (!manifest.equals(base.bytes)) delta = null
  return { manifest, manifestObject: hostile.via === 'delta' ? null : bytes, artifact, delta }
}

function laidOut(json: LooseManifest, layout: ArchiveCase['layout']): Buffer {
  const { frames, entries, ...head } = json
  if (layout !== 'lines' || !Array.isArray(frames) || !Array.isArray(entries)) {
    return hostileJson(json, layout === 'indented' ? 1 : undefined)
  }
  const lines = (list: unknown[]) => list.map((item) => hostileJson(item).toString('latin1')).join(',\n')
  const preamble = `${hostileJson(head).toString('latin1').slice(0, -1)},"frames":[`
  return Buffer.from(`${preamble}\n${lines(frames)}\n${ENTRIES_LINE}\n${lines(entries)}\n${LAST_LINE}`, 'latin1')
}

function tellText(manifest: Buffer, lie: TextLie): Buffer {
  switch (lie.text) {
    case 'bytes':
      return lieAboutBytes(manifest, lie.lie)
    case 'mark':
      return Buffer.concat([Buffer.from('\ufeff'), manifest])
    case 'after':
      return Buffer.concat([manifest, Buffer.from('{}')])
    case 'utf-16':
      return Buffer.from(manifest.toString(), 'utf16le')
    case 'deep':
      return Buffer.from(
        manifest.toString('latin1').replace('"entries":[', `"entries":[${'['.repeat(lie.levels)}`),
        'latin1',
      )
    case 'many': {
      const text = manifest.toString('latin1')
      const at = text.lastIndexOf('["')
      const last = text.slice(at, text.lastIndexOf(']}'))
      return Buffer.from(text.slice(0, at) + `${last},`.repeat(lie.count) + text.slice(at), 'latin1')
    }
    case 'key twice': {
      const text = manifest.toString('latin1')
      const pair = `${JSON.stringify(lie.key)}:${hostileJson(lie.value).toString('latin1')}`
      const anew = lie.last ? text.replace(/\}\s*$/, `,${pair}}`) : text.replace('{', `{${pair},`)
      return Buffer.from(anew, 'latin1')
    }
  }
}

/** A delta that drops every line of the older manifest and adds every line of this one, as far as its layout allows; null when it does not. */
function carrying(manifest: Buffer, hot: Base, build: string): Buffer | null {
  const [preamble = '', ...rest] = manifest.toString().split('\n')
  const middle = rest.indexOf(ENTRIES_LINE)
  if (middle < 0) return null
  let entries: unknown
  let frames: unknown
  try {
    frames = JSON.parse(`[${rest.slice(0, middle).join('')}]`)
    entries = JSON.parse(`[${rest.slice(middle + 1, -2).join('')}]`)
  } catch {
    return null
  }
  if (!Array.isArray(frames) || !Array.isArray(entries)) return null
  const head = {
    v: 1,
    from: hot.build,
    fromManifest: hot.manifest,
    build,
    manifest: digestOf(manifest),
    manifestBytes: manifest.byteLength,
    preamble,
    frameSplice: [
      ['-', hot.read.frames.length],
      ['+', ...frames.map((frame: unknown) => (Array.isArray(frame) ? frame.slice(1) : frame))],
    ],
    entrySplice: [
      ['-', hot.read.entries.length],
      ['+', ...entries],
    ],
    frames: [],
  }
  const raw = Buffer.from(JSON.stringify(head))
  const bytes = zstdCompressSync(raw, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
  const marker = Buffer.from('502a4d180c000000484344310000000000000000', 'hex')
  marker.writeUInt32LE(bytes.byteLength, 12)
  marker.writeUInt32LE(raw.byteLength, 16)
  return Buffer.concat([marker, bytes])
}

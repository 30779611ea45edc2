// Owns lies about an artifact: frames made anew otherwise than a publisher makes them, and bytes that changed after they were published.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import type { Frame } from '#fleet/manifest.ts'
import { type ByteLie, byteLieArb, lieAboutBytes } from './text.ts'

/** How one frame is made anew. The manifest that is published with it names its place rightly, and its raw length as `claim` says. */
export interface FrameLie {
  readonly at: number
  readonly make:
    | 'plain'
    | 'no checksum'
    | 'wrong checksum'
    | 'two frames'
    | 'skippable before'
    | 'skippable after'
    | 'skippable only'
    | 'empty frame before'
    | 'dictionary'
    | 'wide window'
    | 'widest window'
    | 'bomb'
    | 'short'
    | 'longer'
    | 'stored'
    | 'not zstd'
  /** Added to the raw length that the manifest names. */
  readonly claim: number
}

export type ArtifactLie =
  | { readonly what: 'bytes'; readonly lie: ByteLie }
  | { readonly what: 'swap'; readonly one: number; readonly other: number }
  | { readonly what: 'cut'; readonly at: number; readonly by: number }
  | { readonly what: 'other build' | 'missing' | 'frame twice' }

const any = fc.nat({ max: 100 })
const MAKES = [
  'plain',
  'no checksum',
  'wrong checksum',
  'two frames',
  'skippable before',
  'skippable after',
  'skippable only',
  'empty frame before',
  'dictionary',
  'wide window',
  'widest window',
  'bomb',
  'short',
  'longer',
  'stored',
  'not zstd',
] as const

export const frameLieArb: fc.Arbitrary<FrameLie> = fc.record({
  at: any,
  make: fc.constantFrom(...MAKES),
  claim: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(-1, 1, 512, 4_096, 1_000_000, 15_000_000) },
  ),
})

export const artifactLieArb: fc.Arbitrary<ArtifactLie> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('bytes' as const), lie: byteLieArb }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('swap' as const), one: any, other: any }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('cut' as const), at: any, by: fc.constantFrom(-4, -1, 0, 1, 3, 4, 5, 9) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('other build', 'missing', 'frame twice') }) },
)

const CHECKED = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }

/** A zstd skippable frame of so many bytes of content. */
function skippable(bytes: number): Buffer {
  const frame = Buffer.alloc(8 + bytes, 0x2e)
  frame.writeUInt32LE(0x184d2a5f, 0)
  frame.writeUInt32LE(bytes, 4)
  return frame
}

/** A frame whose header asks for a window of 2^`log` bytes, with its content in one stored block. */
function withWindow(raw: Buffer, log: number): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3])
  const blocks: Buffer[] = []
  for (let at = 0; at < raw.byteLength || at === 0; at += 100_000) {
    const part = raw.subarray(at, at + 100_000)
    const last = at + 100_000 >= raw.byteLength ? 1 : 0
    const size = (part.byteLength << 3) | last
    blocks.push(Buffer.from([size & 0xff, (size >> 8) & 0xff, (size >> 16) & 0xff]), part)
  }
  return Buffer.concat([header, ...blocks])
}

function made(raw: Buffer, make: FrameLie['make']): Buffer {
  const honest = zstdCompressSync(raw, CHECKED)
  switch (make) {
    case 'plain':
      return honest
    case 'no checksum':
      return zstdCompressSync(raw)
    case 'wrong checksum': {
      honest[honest.byteLength - 1] = (honest.at(-1) ?? 0) ^ 0x55
      return honest
    }
    case 'two frames': {
      const middle = raw.byteLength >> 1
      return Buffer.concat([
        zstdCompressSync(raw.subarray(0, middle), CHECKED),
        zstdCompressSync(raw.subarray(middle), CHECKED),
      ])
    }
    case 'skippable before':
      return Buffer.concat([skippable(40), honest])
    case 'skippable after':
      return Buffer.concat([honest, skippable(4)])
    case 'skippable only':
      return skippable(raw.byteLength)
    case 'empty frame before':
      return Buffer.concat([zstdCompressSync(Buffer.alloc(0)), honest])
    case 'dictionary': {
      // Single segment with a dictionary id of one byte, 0x2a, that nobody has.
      const size = Buffer.alloc(4)
      size.writeUInt32LE(raw.byteLength)
      return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa1, 0x2a]), size, honest.subarray(6)])
    }
    case 'wide window':
      return withWindow(raw, 27)
    case 'widest window':
      return withWindow(raw, 41)
    case 'bomb':
      return zstdCompressSync(Buffer.concat([raw, Buffer.alloc(32 * 1024 * 1024)]), CHECKED)
    case 'short':
      return zstdCompressSync(raw.subarray(0, raw.byteLength >> 1), CHECKED)
    case 'longer':
      return zstdCompressSync(Buffer.concat([raw, Buffer.from('more')]), CHECKED)
    case 'stored':
      return withWindow(raw, 20)
    case 'not zstd':
      return Buffer.from(raw)
  }
}

/** Makes the named frames anew. @returns the artifact, and its frames as the manifest is to name them */
export function remade(
  artifact: Buffer,
  frames: readonly Frame[],
  lies: readonly FrameLie[],
): { readonly artifact: Buffer; readonly frames: readonly (readonly unknown[])[] } {
  const parts: Buffer[] = []
  const tuples: unknown[][] = []
  let offset = 0
  for (const [index, frame] of frames.entries()) {
    const packed = artifact.subarray(frame.offset, frame.offset + frame.bytes)
    const lie = lies.find(({ at }) => at % frames.length === index)
    const part = lie === undefined ? packed : made(zstdDecompressSync(packed), lie.make)
    const rawBytes = frame.rawBytes + (lie?.claim ?? 0)
    tuples.push([offset, part.byteLength, rawBytes, ...(frame.digest === undefined ? [] : [frame.digest])])
    parts.push(part)
    offset += part.byteLength
  }
  return { artifact: Buffer.concat(parts), frames: tuples }
}

/** Changes the bytes of an artifact that was published already; null removes it. */
export function tellArtifact(
  artifact: Buffer,
  frames: readonly Frame[],
  other: Buffer,
  lie: ArtifactLie,
): Buffer | null {
  const cut = (at: number) => {
    const frame = frames[at % Math.max(1, frames.length)]
    return frame === undefined ? artifact : artifact.subarray(frame.offset, frame.offset + frame.bytes)
  }
  switch (lie.what) {
    case 'bytes':
      return lieAboutBytes(artifact, lie.lie)
    case 'other build':
      return other
    case 'missing':
      return null
    case 'frame twice':
      return Buffer.concat([cut(0), artifact])
    case 'cut': {
      const at = (frames[lie.at % Math.max(1, frames.length)]?.offset ?? 0) + lie.by
      return artifact.subarray(0, Math.max(0, at))
    }
    case 'swap': {
      const order = frames.map((_, index) => index)
      const [one, two] = [lie.one % Math.max(1, order.length), lie.other % Math.max(1, order.length)]
      ;[order[one], order[two]] = [order[two] ?? 0, order[one] ?? 0]
      return Buffer.concat(order.map(cut))
    }
  }
}

// Owns lies about a delta: its head, its markers, and the bytes of its frames. No digest protects a delta: whoever writes to the store may tell them.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { type ByteLie, byteLieArb, hostileJson, lieAboutBytes, numberArb, valueArb } from './text.ts'

export type DeltaLie =
  | { readonly on: 'bytes'; readonly lie: ByteLie }
  | { readonly on: 'head'; readonly key: string; readonly value: unknown }
  | {
      readonly on: 'splice'
      readonly key: 'frameSplice' | 'entrySplice'
      readonly at: number
      readonly field: number
      readonly value: unknown
    }
  | {
      readonly on: 'splice-drop' | 'splice-twice' | 'splice-last'
      readonly key: 'frameSplice' | 'entrySplice'
      readonly at: number
    }
  | { readonly on: 'piece'; readonly at: number; readonly field: number; readonly by: number }
  | { readonly on: 'piece-drop' | 'piece-twice' | 'piece-last' | 'pieces-apart'; readonly at: number }
  | { readonly on: 'marker'; readonly at: number; readonly offset: number; readonly value: number }
  | { readonly on: 'frame'; readonly at: number; readonly lie: ByteLie }
  | { readonly on: 'content'; readonly at: number; readonly lie: ByteLie; readonly honestMarker: boolean }
  | { readonly on: 'cut'; readonly at: number; readonly by: number }
  | { readonly on: 'bomb'; readonly where: 'head' | 'content' }

const any = fc.nat({ max: 1_000 })
const on = <const name extends string>(name: name) => fc.constant(name)
const spliceKey = fc.constantFrom('frameSplice' as const, 'entrySplice' as const)
const KEYS = [
  'v',
  'from',
  'fromManifest',
  'build',
  'manifest',
  'manifestBytes',
  'preamble',
  'frameSplice',
  'entrySplice',
  'frames',
  '__proto__',
]

export const deltaLieArb: fc.Arbitrary<DeltaLie> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ on: on('bytes'), lie: byteLieArb }) },
  { weight: 3, arbitrary: fc.record({ on: on('head'), key: fc.constantFrom(...KEYS), value: valueArb }) },
  { weight: 3, arbitrary: fc.record({ on: on('head'), key: on('manifestBytes'), value: numberArb }) },
  {
    weight: 4,
    arbitrary: fc.record({ on: on('splice'), key: spliceKey, at: any, field: fc.nat({ max: 4 }), value: numberArb }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ on: on('splice'), key: spliceKey, at: any, field: fc.nat({ max: 3 }), value: valueArb }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      on: fc.constantFrom('splice-drop', 'splice-twice', 'splice-last'),
      key: spliceKey,
      at: any,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      on: on('piece'),
      at: any,
      field: fc.nat({ max: 2 }),
      by: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(100, -100, 2 ** 20, 2 ** 31, 2 ** 53)),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ on: fc.constantFrom('piece-drop', 'piece-twice', 'piece-last', 'pieces-apart'), at: any }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      on: on('marker'),
      at: any,
      offset: fc.constantFrom(0, 4, 8, 12, 16),
      value: fc.oneof(fc.nat({ max: 2_000 }), fc.constantFrom(0, 2 ** 24, 2 ** 24 + 1, 2 ** 27, 2 ** 31, 2 ** 32 - 1)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ on: on('frame'), at: any, lie: byteLieArb }) },
  { weight: 3, arbitrary: fc.record({ on: on('content'), at: any, lie: byteLieArb, honestMarker: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ on: on('cut'), at: any, by: fc.constantFrom(-1, 0, 1, 19, 20, 21, 30) }) },
  { weight: 1, arbitrary: fc.record({ on: on('bomb'), where: fc.constantFrom('head', 'content') }) },
)

const MARKER_BYTES = 20
const CHECKED = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }

interface Part {
  marker: Buffer
  packed: Buffer
}

/** Takes a delta apart at its markers. */
function apart(delta: Buffer): Part[] {
  const parts: Part[] = []
  for (let at = 0; at < delta.byteLength; ) {
    const marker = Buffer.from(delta.subarray(at, at + MARKER_BYTES))
    const bytes = marker.readUInt32LE(12)
    parts.push({ marker, packed: Buffer.from(delta.subarray(at + MARKER_BYTES, at + MARKER_BYTES + bytes)) })
    at += MARKER_BYTES + bytes
  }
  return parts
}

function joined(parts: readonly Part[]): Buffer {
  return Buffer.concat(parts.flatMap(({ marker, packed }) => [marker, packed]))
}

function packed(raw: Buffer): Part {
  const bytes = zstdCompressSync(raw, CHECKED)
  const marker = Buffer.alloc(MARKER_BYTES)
  marker.writeUInt32LE(0x184d2a50, 0)
  marker.writeUInt32LE(12, 4)
  marker.write('HCD1', 8, 'latin1')
  marker.writeUInt32LE(bytes.byteLength, 12)
  marker.writeUInt32LE(raw.byteLength, 16)
  return { marker, packed: bytes }
}

type Loose = Record<string, unknown> & { frames: unknown[][][]; entrySplice: unknown[][]; frameSplice: unknown[][] }

/** The head of a delta as loose JSON. */
function headOf(part: Part | undefined): Loose {
  return JSON.parse(zstdDecompressSync(part?.packed ?? Buffer.alloc(0)).toString()) as Loose
}

/** Tells one lie; a delta that an earlier lie left unreadable stays as it is. */
export function tellDelta(delta: Buffer, lie: DeltaLie): Buffer {
  try {
    return told(delta, lie)
  } catch {
    return delta
  }
}

function told(delta: Buffer, lie: DeltaLie): Buffer {
  if (lie.on === 'bytes') return lieAboutBytes(delta, lie.lie)
  const parts = apart(delta)
  const content = parts.slice(1)
  const picked = content[('at' in lie ? lie.at : 0) % Math.max(1, content.length)]
  switch (lie.on) {
    case 'marker':
      parts[lie.at % parts.length]?.marker.writeUInt32LE(lie.value, lie.offset)
      return joined(parts)
    case 'frame': {
      const part = parts[lie.at % parts.length]
      if (part !== undefined) part.packed = lieAboutBytes(part.packed, lie.lie)
      return joined(parts)
    }
    case 'content': {
      if (picked === undefined) return delta
      const raw = lieAboutBytes(zstdDecompressSync(picked.packed), lie.lie)
      const anew = packed(raw)
      if (!lie.honestMarker) anew.marker.writeUInt32LE(picked.marker.readUInt32LE(16), 16)
      Object.assign(picked, anew)
      return joined(parts)
    }
    case 'cut': {
      const before = parts.slice(0, lie.at % (parts.length + 1))
      return delta.subarray(0, Math.max(0, joined(before).byteLength + lie.by))
    }
    case 'bomb': {
      const part = lie.where === 'head' ? parts[0] : picked
      if (part === undefined) return delta
      const bomb = packed(Buffer.alloc(20 * 1024 * 1024, '[],'))
      Object.assign(part, bomb)
      return joined(parts)
    }
    default: {
      const head = headOf(parts[0])
      tellHead(head, lie)
      parts[0] = packed(hostileJson(head))
      return joined(parts)
    }
  }
}

type HeadLie = Exclude<DeltaLie, { on: 'bytes' | 'marker' | 'frame' | 'content' | 'cut' | 'bomb' }>

function tellHead(head: Loose, lie: HeadLie): void {
  const pick = (list: readonly unknown[], at: number) => at % Math.max(1, list.length)
  const place = (at: number) => {
    const all = head.frames.flatMap((frame, of) => frame.map((_, index) => ({ frame: head.frames[of] ?? [], index })))
    return all[pick(all, at)]
  }
  switch (lie.on) {
    case 'head':
      Object.defineProperty(head, lie.key, { value: lie.value, enumerable: true })
      return
    case 'splice': {
      const splice = head[lie.key][pick(head[lie.key], lie.at)]
      if (splice !== undefined) splice[lie.field] = lie.value
      return
    }
    case 'splice-drop':
      head[lie.key].splice(pick(head[lie.key], lie.at), 1)
      return
    case 'splice-twice':
      head[lie.key].splice(
        pick(head[lie.key], lie.at),
        0,
        structuredClone(head[lie.key][pick(head[lie.key], lie.at)] ?? []),
      )
      return
    case 'splice-last':
      head[lie.key].push(...head[lie.key].splice(pick(head[lie.key], lie.at), 1))
      return
    case 'pieces-apart': {
      // Each piece a frame of its own: the parts of one file are dealt out to several threads.
      head.frames = head.frames.flatMap((frame) => frame.map((piece) => [piece]))
      head.frames.push(...head.frames.splice(pick(head.frames, lie.at), 1))
      return
    }
    default:
      tellPiece(place(lie.at), lie)
  }
}

function tellPiece(
  at: { frame: unknown[][]; index: number } | undefined,
  lie: Extract<HeadLie, { on: `piece${string}` }>,
): void {
  const piece = at?.frame[at.index]
  if (at === undefined || piece === undefined) return
  if (lie.on === 'piece') piece[lie.field] = Number(piece[lie.field]) + lie.by
  if (lie.on === 'piece-drop') at.frame.splice(at.index, 1)
  if (lie.on === 'piece-twice') at.frame.splice(at.index, 0, [...piece])
  if (lie.on === 'piece-last') at.frame.push(...at.frame.splice(at.index, 1))
}

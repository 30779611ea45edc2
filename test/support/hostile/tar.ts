// Owns tars written by hand, byte for byte: headers that say anything, as the published attacks on extractors do.
import { createHash } from 'node:crypto'
import { constants, zstdCompressSync } from 'node:zlib'
import { digestOf } from '#fleet/manifest.ts'
import { comparePaths } from '#fleet/paths.ts'
import type { Laid } from './archive-case.ts'

const BLOCK = 512

/** One header of a tar, each field as it shall stand there. */
export interface TarHeader {
  readonly name: string | Buffer
  /** ASCII letter of the type: 0 file, 1 hard link, 2 symbolic link, 3 and 4 devices, 5 directory, 6 FIFO, x and g PAX, L and K GNU names, S sparse. */
  readonly type?: string
  readonly mode?: string
  readonly uid?: string
  /** Octal as a rule; anything for a size that lies. */
  readonly size?: string
  readonly link?: string
  readonly prefix?: string
  /** A sum that does not fit. */
  readonly badSum?: boolean
  /** What follows the header, padded to a block. */
  readonly body?: Buffer
}

function header(of: TarHeader): Buffer {
  const block = Buffer.alloc(BLOCK)
  const put = (at: number, bytes: number, text: string | Buffer) => {
    Buffer.from(text).copy(block, at, 0, bytes)
  }
  const body = of.body ?? Buffer.alloc(0)
  put(0, 100, of.name)
  put(100, 8, of.mode ?? '0000644\0')
  put(108, 8, of.uid ?? '0000000\0')
  put(116, 8, '0000000\0')
  put(124, 12, of.size ?? `${body.byteLength.toString(8).padStart(11, '0')}\0`)
  put(136, 12, '14700000000\0')
  put(148, 8, '        ')
  put(156, 1, of.type ?? '0')
  put(157, 100, of.link ?? '')
  put(257, 8, 'ustar\u000000')
  put(345, 155, of.prefix ?? '')
  const sum = block.reduce((total, byte) => total + byte, of.badSum ? 1 : 0)
  put(148, 8, `${sum.toString(8).padStart(6, '0')}\0 `)
  return block
}

/** A PAX record: its length, a key and a value. */
export function pax(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let bytes = rest + String(rest).length
  if (String(bytes).length > String(rest).length) bytes += 1
  return Buffer.from(`${bytes} ${key}=${value}\n`)
}

/** The end marker of a tar. */
export const END = Buffer.alloc(2 * BLOCK)

/** A tar of these headers with their bodies. @param end what stands at the end; by rights `END` */
export function tar(headers: readonly TarHeader[], end: Buffer = END): { bytes: Buffer; places: readonly number[] } {
  const parts: Buffer[] = []
  const places: number[] = []
  let at = 0
  for (const of of headers) {
    const body = of.body ?? Buffer.alloc(0)
    const padded = Buffer.alloc(Math.ceil(body.byteLength / BLOCK) * BLOCK)
    body.copy(padded)
    places.push(at + BLOCK)
    parts.push(header(of), padded)
    at += BLOCK + padded.byteLength
  }
  return { bytes: Buffer.concat([...parts, end]), places }
}

/** What a manifest says of one path: a file takes the body of a header of the tar, whatever that header calls itself. */
export type Told =
  | { readonly path: string; readonly header: number; readonly mode?: number }
  | { readonly path: string; readonly link: string }
  | { readonly path: string; readonly directory: true }

/**
 * The objects of a build whose tar is this one.
 * @param more bytes of the object after its frames, which the manifest's length includes
 */
export function buildOfTar(
  build: string,
  headers: readonly TarHeader[],
  told: readonly Told[],
  end?: Buffer,
  more: Buffer = Buffer.alloc(0),
): Laid {
  const { bytes, places } = tar(headers, end)
  const frame = zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
  const entries = told.map((it): unknown[] => {
    if ('link' in it) return ['l', 0, 0, 1_700_000_000, it.link, 0, 0, it.path]
    if ('directory' in it) return ['d', 0o755, 0, 0, '', 0, 0, it.path]
    const body = headers[it.header]?.body ?? Buffer.alloc(0)
    const content = createHash('sha256').update(body).digest('hex')
    return ['f', it.mode ?? 0o644, body.byteLength, 1_700_000_000, content, 0, places[it.header] ?? 0, it.path]
  })
  entries.sort((a, b) => comparePaths(String(a[7]), String(b[7])))
  const artifact = Buffer.concat([frame, more])
  const manifest = Buffer.from(
    JSON.stringify({
      ...{
        v: 1,
        app: 'web',
        build,
        commit: null,
        createdAt: '2026-11-22T16:04:12.000Z',
        treeDigest: `sha256:${'0'.repeat(64)}`,
      },
      ...{ artifact: { digest: digestOf(artifact), bytes: artifact.byteLength }, limits: {} },
      ...{ frames: [[0, frame.byteLength, bytes.byteLength]], entries },
    }),
  )
  return { manifest, manifestObject: zstdCompressSync(manifest), artifact, delta: null }
}

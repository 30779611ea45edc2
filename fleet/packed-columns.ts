// Owns the columns of a manifest as bytes, to be read at once the next time instead of line by line.
import { hash } from 'node:crypto'
import type { Digest } from './build.ts'
import { type Columns, columnsFor } from './manifest-columns.ts'

/** Of this layout; another one is read as if there were none. */
const VERSION = 1

/** SHA-256 of all that follows, the manifest's digest, the version and the count of rows as doubles. */
const DIGITS = 64
const HEAD_BYTES = 2 * DIGITS + 16
const NAMES = ['size', 'mtime', 'frame', 'offset', 'content', 'path', 'pathEnd', 'mode', 'type'] as const
const ROW_BYTES = 2 * 8 + 5 * 4 + 2 + 1

export function packColumns(columns: Columns, manifest: Digest): Uint8Array {
  const { count } = columns
  const packed = Buffer.alloc(HEAD_BYTES + count * ROW_BYTES)
  packed.write(hexOf(manifest), DIGITS, 'latin1')
  packed.writeDoubleBE(VERSION, 2 * DIGITS)
  packed.writeDoubleBE(count, 2 * DIGITS + 8)
  let at = HEAD_BYTES
  for (const name of NAMES) {
    const { buffer, byteOffset, BYTES_PER_ELEMENT } = columns[name]
    const bytes = new Uint8Array(buffer, byteOffset, count * BYTES_PER_ELEMENT)
    packed.set(bytes, at)
    at += bytes.byteLength
  }
  packed.write(hash('sha256', packed.subarray(DIGITS)), 0, 'latin1')
  return packed
}

/**
 * Columns over a manifest's bytes.
 * @returns null for anything but what `packColumns` made of this very manifest: it is only kept to save work
 */
export function unpackColumns(
  packed: Uint8Array,
  manifest: { readonly digest: Digest; readonly bytes: Uint8Array },
): Columns | null {
  if (packed.byteLength < HEAD_BYTES) return null
  const head = Buffer.from(packed.buffer, packed.byteOffset, 2 * DIGITS).toString('latin1')
  if (head.slice(DIGITS) !== hexOf(manifest.digest)) return null
  if (head.slice(0, DIGITS) !== hash('sha256', packed.subarray(DIGITS))) return null
  const view = new DataView(packed.buffer, packed.byteOffset)
  const count = view.getFloat64(2 * DIGITS + 8)
  if (view.getFloat64(2 * DIGITS) !== VERSION || packed.byteLength !== HEAD_BYTES + count * ROW_BYTES) return null
  const columns = { ...columnsFor(manifest.bytes, count), count }
  let at = HEAD_BYTES
  for (const name of NAMES) {
    const { buffer, byteLength } = columns[name]
    new Uint8Array(buffer).set(packed.subarray(at, at + byteLength))
    at += byteLength
  }
  return columns
}

function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

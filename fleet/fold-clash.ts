// Owns finding names that clash where case and composition do not count, over the columns of a manifest.
import { type Columns, textAt } from './manifest-columns.ts'
import { foldOf } from './paths.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether two names differ only by case or composition (failures E9): paths are hashed as they fold, and compared where hashes meet. */
export function hasClash(columns: Columns): boolean {
  const { count, bytes, path, pathEnd } = columns
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const room = 2 ** Math.ceil(Math.log2(count * 2 + 1))
  const rows = new Int32Array(room)
  const hashes = new Int32Array(count)
  const foldAt = (row: number) => foldOf(textAt(text, path[row] ?? 0, pathEnd[row] ?? 0))
  for (let row = 0; row < count; row += 1) {
    const sum = foldHash(text, path[row] ?? 0, pathEnd[row] ?? 0)
    hashes[row] = sum
    let place = (sum >>> 0) & (room - 1)
    for (let other = rows[place] ?? 0; other !== 0; other = rows[place] ?? 0) {
      if (hashes[other - 1] === sum && foldAt(other - 1) === foldAt(row)) return true
      place = (place + 1) & (room - 1)
    }
    rows[place] = row + 1
  }
  return false
}

/** FNV-1a over the bytes of the folded path. */
function foldHash(text: Buffer, from: number, end: number): number {
  let sum = 0x811c9dc5 | 0
  for (let at = from; at < end; at += 1) {
    const code = text[at] ?? 0
    if (code > 0x7f) return textHash(Buffer.from(foldOf(utf8.decode(text.subarray(from, end)))))
    sum = Math.imul(sum ^ (code >= 0x41 && code <= 0x5a ? code + 32 : code), 0x01000193)
  }
  return sum
}

function textHash(folded: Buffer): number {
  let sum = 0x811c9dc5 | 0
  for (const code of folded) sum = Math.imul(sum ^ code, 0x01000193)
  return sum
}

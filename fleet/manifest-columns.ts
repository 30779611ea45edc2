// Owns the columns of a manifest that was read: one row for each entry, texts by their places in the manifest's bytes.
import type { Entry, EntryType } from './manifest.ts'

/** Rows stand in the manifest's order. Made on shared memory, so that several threads can look at them without a copy. */
export interface Columns {
  /** The whole manifest. */
  readonly bytes: Uint8Array
  readonly count: number
  /** The code of `d`, `f` or `l`. */
  readonly type: Uint8Array
  readonly mode: Uint16Array
  readonly size: Float64Array
  /** Whole seconds since 1970. */
  readonly mtime: Float64Array
  readonly frame: Uint32Array
  readonly offset: Uint32Array
  /** Where a file's 64 digits or a link's target begin. */
  readonly content: Uint32Array
  readonly path: Uint32Array
  /** Not included. */
  readonly pathEnd: Uint32Array
}

export const CHARS = {
  ...{ d: 0x64, f: 0x66, l: 0x6c, zero: 0x30 },
  ...{ open: 0x5b, close: 0x5d, comma: 0x2c, quote: 0x22, backslash: 0x5c },
} as const

/** Room for so many rows. @param bytes of the manifest */
export function columnsFor(bytes: Uint8Array, rows: number): Columns {
  const room = Math.max(0, rows)
  const share = (width: number) => new SharedArrayBuffer(room * width)
  return {
    bytes,
    count: 0,
    type: new Uint8Array(share(1)),
    mode: new Uint16Array(share(2)),
    size: new Float64Array(share(8)),
    mtime: new Float64Array(share(8)),
    frame: new Uint32Array(share(4)),
    offset: new Uint32Array(share(4)),
    content: new Uint32Array(share(4)),
    path: new Uint32Array(share(4)),
    pathEnd: new Uint32Array(share(4)),
  }
}

const PLAIN = 128

/** Text between two places. Short ones that are plain ASCII, nearly all, are not worth a call into the decoder. */
export function textAt(text: Buffer, from: number, end: number): string {
  if (end - from < PLAIN) {
    let plain = true
    for (let at = from; at < end && plain; at += 1) plain = (text[at] ?? 0) < 0x80
    if (plain) return text.toString('latin1', from, end)
  }
  return text.toString('utf8', from, end)
}

/** Reads single rows. */
export class Rows {
  readonly columns: Columns
  readonly #text: Buffer

  constructor(columns: Columns) {
    this.columns = columns
    const { bytes } = columns
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  path(row: number): string {
    const { path, pathEnd } = this.columns
    return textAt(this.#text, path[row] ?? 0, pathEnd[row] ?? 0)
  }

  type(row: number): EntryType {
    const code = this.columns.type[row]
    return code === CHARS.f ? 'f' : code === CHARS.d ? 'd' : 'l'
  }

  content(row: number): string {
    const from = this.columns.content[row] ?? 0
    if (this.columns.type[row] === CHARS.f) return this.#text.toString('latin1', from, from + 64)
    return textAt(this.#text, from, this.#text.indexOf(CHARS.quote, from))
  }

  entry(row: number): Entry {
    const { mode, size, mtime, frame, offset } = this.columns
    return {
      type: this.type(row),
      mode: mode[row] ?? 0,
      size: size[row] ?? 0,
      mtime: mtime[row] ?? 0,
      content: this.content(row),
      frame: frame[row] ?? 0,
      offset: offset[row] ?? 0,
      path: this.path(row),
    }
  }
}

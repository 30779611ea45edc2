// Owns a manifest as columns over its own bytes: one pass reads and checks it without an object for each path.

import { hasClash } from './fold-clash.ts'
import { exceedsRoom } from './json-room.ts'
import type { Frame } from './manifest.ts'
import { CHARS, type Columns, columnsFor, textAt } from './manifest-columns.ts'
import type { ManifestHead } from './manifest-rules.ts'
import { checkFrames, checkHead, isRecord, MAX_MTIME, MOST, SHA256_OF_NOTHING } from './manifest-rules.ts'
import { FollowedLinks, linkFault, pathFault } from './paths.ts'

/** What was read: the columns, and all that is no entry. */
export interface ReadManifest {
  readonly head: ManifestHead
  readonly frames: readonly Frame[]
  readonly columns: Columns
}

const ENTRIES = '\n],"entries":[\n'
const LAST = '\n]}\n'
const NEWLINE = 0x0a
/** The first line, the one between the lists, the last one, and its end. */
const OTHER_LINES = 4
const SLASH = 0x2f
const DOT = 0x2e
const MODE_MASK = 0o755

/** What a byte of a path is to this reader. */
const LETTER = 0
const CAPITAL = 1
const ALIEN = 2
const NEVER = 3
const END = 4
const KIND = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code === CHARS.quote) return END
  if (code < 0x20 || code === CHARS.backslash) return NEVER
  if (code > 0x7e) return ALIEN
  if (code === SLASH || code === DOT) return code
  return code >= 0x41 && code <= 0x5a ? CAPITAL : LETTER
})
const IS_HEX = Uint8Array.from({ length: 256 }, (_, code) => (/[0-9a-f]/.test(String.fromCharCode(code)) ? 1 : 0))

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads a manifest that is laid out as `encodeManifest` does it and breaks no rule. Null for any other: whoever wants to know
 * why, or whether another layout of the same JSON is meant, parses it as JSON. What this accepts, that accepts too, with the same values.
 */
export function readManifest(bytes: Uint8Array): ReadManifest | null {
  const outline = readOutline(bytes)
  if (outline === null) return null
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { head, frames, entriesAt } = outline
  // Before there is room made for them.
  if (countLines(text) > frames.length + head.limits.entries + OTHER_LINES) return null
  const columns = new Reader(text, head, frames).read(entriesAt)
  return columns && { head, frames, columns }
}

/** All but the entries, of which it says where they begin. Null as in `readManifest`. */
export function readOutline(
  bytes: Uint8Array,
): (Pick<ReadManifest, 'head' | 'frames'> & { readonly entriesAt: number }) | null {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const framesAt = text.indexOf(NEWLINE) + 1
  const framesEnd = text.indexOf(ENTRIES, Math.max(0, framesAt - 1))
  // The first line must end with the frames' own key, or the lists that follow belong to something else.
  if (!/[{,]"frames":\[\n$/.test(text.toString('latin1', Math.max(0, framesAt - 12), framesAt))) return null
  if (framesEnd < 0 || !text.subarray(-LAST.length).equals(Buffer.from(LAST))) return null
  try {
    const preamble: unknown = JSON.parse(`${utf8.decode(text.subarray(0, framesAt))}]}`)
    if (!isRecord(preamble) || preamble.v !== 1) return null
    const head = checkHead(preamble)
    const section = text.subarray(framesAt, framesEnd)
    if (exceedsRoom(section, { lists: MOST.entries, texts: MOST.entries, values: 5 * MOST.entries })) return null
    const frames = checkFrames(JSON.parse(`[${utf8.decode(section)}]`), head.artifact.bytes)
    return { head, frames, entriesAt: framesEnd + ENTRIES.length }
  } catch {
    // Not laid out so, or against the rules: the slow way finds the words for it.
    return null
  }
}

/** Reads the entries' lines. Every method gives false, or a negative number, for what it cannot vouch for. */
class Reader {
  readonly #text: Buffer
  readonly #head: ManifestHead
  readonly #frames: readonly Frame[]
  readonly #starts: Float64Array
  readonly #columns: Columns
  readonly #directories = new Set<string>([''])
  readonly #links = new Map<string, string>()
  #at = 0
  /** The path before: where it begins and ends, and where the name of its last component begins. */
  #before = { at: 0, end: 0, name: 0 }
  #folds = false

  constructor(text: Buffer, head: ManifestHead, frames: readonly Frame[]) {
    this.#text = text
    this.#head = head
    this.#frames = frames
    this.#starts = new Float64Array(frames.length + 1)
    for (const [index, { rawBytes }] of frames.entries()) {
      this.#starts[index + 1] = (this.#starts[index] ?? 0) + rawBytes
    }
    this.#columns = columnsFor(bytesOf(text), countLines(text) - frames.length)
  }

  read(from: number): Columns | null {
    try {
      return this.#rows(from)
    } catch {
      // Bytes that are no UTF-8.
      return null
    }
  }

  #rows(from: number): Columns | null {
    const columns = this.#columns
    const end = this.#text.byteLength - LAST.length
    let line = from
    let row = 0
    let total = 0
    while (line < end) {
      if (row >= columns.path.length || !this.#entry(row, line)) return null
      total += columns.size[row] ?? 0
      row += 1
      if (this.#at === end) break
      if (this.#text[this.#at] !== CHARS.comma || this.#text[this.#at + 1] !== NEWLINE) return null
      line = this.#at + 2
    }
    // A comma announces another line.
    if (line >= end) return null
    const { limits } = this.#head
    if (row === 0 || row > limits.entries || total > limits.bytes) return null
    const read = { ...columns, count: row }
    const followed = new FollowedLinks((at) => this.#links.get(at))
    for (const [path, target] of this.#links) if (linkFault(path, target, followed) !== null) return null
    if (this.#folds && this.#head.foldAllowed !== true && hasClash(read)) return null
    return read
  }

  /** `["f",mode,size,mtime,"content",frame,offset,"path"]`; afterwards the reader stands behind it. */
  #entry(row: number, line: number): boolean {
    const text = this.#text
    const columns = this.#columns
    if (text[line] !== CHARS.open || text[line + 1] !== CHARS.quote || text[line + 3] !== CHARS.quote) return false
    const type = text[line + 2] ?? 0
    this.#at = line + 4
    const mode = this.#number()
    const size = this.#number()
    const mtime = this.#number()
    if (mode < 0 || size < 0 || mtime < 0 || mtime > MAX_MTIME || (mode & ~MODE_MASK) !== 0 || mode > 0o777)
      return false
    const content = this.#content(type)
    const frame = this.#number()
    const offset = this.#number()
    if (content < 0 || frame < 0 || offset < 0) return false
    if (text[this.#at] !== CHARS.comma || text[this.#at + 1] !== CHARS.quote) return false
    const path = this.#at + 2
    const name = this.#path(path)
    if (name < 0) return false
    const pathEnd = this.#at
    if (text[pathEnd + 1] !== CHARS.close) return false
    this.#at = pathEnd + 2
    if (!this.#place(type, size, frame, offset)) return false
    if (type === CHARS.f && size === 0 && text.toString('latin1', content, content + 64) !== SHA256_OF_NOTHING)
      return false
    columns.type[row] = type
    columns.mode[row] = mode
    columns.size[row] = size
    columns.mtime[row] = mtime
    columns.frame[row] = size === 0 ? 0 : frame
    columns.offset[row] = size === 0 ? 0 : offset
    columns.content[row] = content
    columns.path[row] = path
    columns.pathEnd[row] = pathEnd
    return this.#inOrder(row, path, pathEnd, name) && this.#shape(type, mode, content, path, pathEnd)
  }

  /** A number behind a comma, as JSON writes whole numbers. */
  #number(): number {
    const text = this.#text
    if (text[this.#at] !== CHARS.comma) return -1
    const from = this.#at + 1
    let value = 0
    let at = from
    for (let digit = (text[at] ?? 0) - CHARS.zero; digit >= 0 && digit <= 9; digit = (text[at] ?? 0) - CHARS.zero) {
      value = value * 10 + digit
      at += 1
    }
    this.#at = at
    const digits = at - from
    // No leading zeros, nothing that could lose a digit; what follows the number is the next one's comma.
    return digits === 0 || digits > 15 || (digits > 1 && text[from] === CHARS.zero) ? -1 : value
  }

  /** Where the content begins; behind its closing quote afterwards. A file's is 64 hexadecimal digits. */
  #content(type: number): number {
    const text = this.#text
    if (text[this.#at] !== CHARS.comma || text[this.#at + 1] !== CHARS.quote) return -1
    const from = this.#at + 2
    let at = from
    if (type === CHARS.f) {
      // Counted, not compared: which digit comes next cannot be foretold, and a branch for each would cost more than all else here.
      let digits = 0
      for (const end = from + 64; at < end; at += 1) digits += IS_HEX[text[at] ?? 0] ?? 0
      if (digits !== 64) return -1
    } else if (type === CHARS.l) {
      for (let code = text[at] ?? 0; code !== CHARS.quote; code = text[at] ?? 0) {
        if (code < 0x20 || code === CHARS.backslash) return -1
        at += 1
      }
    } else if (type !== CHARS.d) return -1
    if (text[at] !== CHARS.quote) return -1
    this.#at = at + 1
    return from
  }

  /** Where the last component begins; the reader stands at the closing quote afterwards. The rules are those of `pathFault`. */
  #path(from: number): number {
    const text = this.#text
    const { depth, nameBytes } = this.#head.limits
    let at = from
    let begin = from
    let dots = 0
    let components = 1
    let plain = text[from + 1] !== 0x3a
    for (; ; at += 1) {
      const kind = KIND[text[at] ?? 0] ?? 0
      if (kind === LETTER) continue
      if (kind === DOT) dots += 1
      else if (kind === SLASH) {
        if ((at - begin === dots && dots < 3) || at - begin > nameBytes) plain = false
        components += 1
        begin = at + 1
        dots = 0
      } else if (kind === END) break
      else if (kind === NEVER) return -1
      else {
        this.#folds = true
        if (kind === ALIEN) plain = false
      }
    }
    const last = at - begin
    if ((last === dots && dots < 3) || last > nameBytes || components > depth || at - from > 3_072) plain = false
    this.#at = at
    return plain || pathFault(utf8.decode(text.subarray(from, at)), this.#head.limits) === null ? begin : -1
  }

  #place(type: number, size: number, frame: number, offset: number): boolean {
    if (size === 0) return true
    const within = this.#frames[frame]
    if (type !== CHARS.f || within === undefined || offset >= within.rawBytes) return false
    return (this.#starts[frame] ?? 0) + offset + size <= (this.#starts[this.#frames.length] ?? 0)
  }

  /** Behind the path before, by bytes, and in a directory that was listed. */
  #inOrder(row: number, at: number, end: number, name: number): boolean {
    const text = this.#text
    const before = this.#before
    const most = Math.min(end - at, before.end - before.at)
    let same = 0
    while (same < most && text[at + same] === text[before.at + same]) same += 1
    if (row > 0) {
      const ahead =
        same === most ? end - at > before.end - before.at : (text[at + same] ?? 0) > (text[before.at + same] ?? 0)
      if (!ahead) return false
    }
    // Neighbours mostly share their directory.
    const beside = name - at === before.name - before.at && same >= name - at && row > 0
    this.#before = { at, end, name }
    return beside || this.#directories.has(name === at ? '' : textAt(text, at, name - 1))
  }

  #shape(type: number, mode: number, content: number, path: number, pathEnd: number): boolean {
    if (type === CHARS.d) this.#directories.add(textAt(this.#text, path, pathEnd))
    if (type !== CHARS.l) return true
    const end = this.#text.indexOf(CHARS.quote, content)
    this.#links.set(textAt(this.#text, path, pathEnd), utf8.decode(this.#text.subarray(content, end)))
    return mode === 0
  }
}

function bytesOf(text: Buffer): Uint8Array {
  return new Uint8Array(text.buffer, text.byteOffset, text.byteLength)
}

function countLines(text: Buffer): number {
  let count = 0
  for (let at = text.indexOf(NEWLINE); at >= 0; at = text.indexOf(NEWLINE, at + 1)) count += 1
  return count
}

// Owns manifests as lines of bytes: building one, and copying runs of lines out of another while the places of their files move.
import { FleetError } from './errors.ts'

const OPEN = 0x5b
export const COMMA = 0x2c
const QUOTE = 0x22
const LETTER_F = 0x66
const ZERO = 0x30

/** What does not fit the older manifest is refused: it was damaged, or laid out by another program. */
export function refuse(detail: string): never {
  throw new FleetError('DELTA_INVALID', `the delta does not fit the older manifest: ${detail}`)
}

/** The text under construction: exactly as long as the head said. */
export class Lines {
  readonly #bytes: Buffer<SharedArrayBuffer>
  #at = 0
  #first = true

  constructor(bytes: number) {
    this.#bytes = Buffer.from(new SharedArrayBuffer(bytes))
  }

  /** The next line is the first of its list: no comma before it. */
  restart(): void {
    this.#first = true
  }

  text(text: string): void {
    if (this.#at + Buffer.byteLength(text) > this.#bytes.byteLength) refuse('the result is longer than it says')
    this.#at += this.#bytes.write(text, this.#at)
  }

  line(text: string): void {
    this.separate()
    this.text(text)
  }

  /** Ends the line before, if there is one. */
  separate(): void {
    if (!this.#first) this.text(',\n')
    this.#first = false
  }

  /** Copies bytes, then writes each patch (`at`, `end` in `from`, and the number that stands there now) over its place in the copy. */
  copyPatched(from: Buffer, start: number, end: number, patches: readonly number[]): void {
    if (this.#at + end - start > this.#bytes.byteLength) refuse('the result is longer than it says')
    from.copy(this.#bytes, this.#at, start, end)
    const shift = this.#at - start
    for (let index = 0; index < patches.length; index += 3) {
      let value = patches[index + 2] ?? 0
      for (let at = (patches[index + 1] ?? 0) - 1; at >= (patches[index] ?? 0); at -= 1) {
        this.#bytes[at + shift] = ZERO + (value % 10)
        value = Math.floor(value / 10)
      }
    }
    this.#at += end - start
  }

  finish(): Uint8Array<SharedArrayBuffer> {
    if (this.#at !== this.#bytes.byteLength) refuse('the result is shorter than it says')
    return this.#bytes
  }
}

/** Where the entry's line that begins at `at` ends: its newline. */
export function lineEnd(old: Buffer, at: number, searchFrom = at): number {
  const end = old.indexOf(0x0a, searchFrom)
  if (end < 0 || old[at] !== OPEN) return refuse('it has fewer entries')
  return end
}

/** Copies `count` lines; where they move, the numbers of each file's place are rewritten in passing. Returns where the next line begins. */
export function keepRun(
  old: Buffer,
  from: number,
  count: number,
  frameShift: number,
  offsetShift: number,
  out: Lines,
): number {
  const moves = frameShift !== 0 || offsetShift !== 0
  out.separate()
  const run = new Run(old, from, out)
  let at = from
  let end = from
  for (let left = count; left > 0; left -= 1) {
    if (moves && old[at] === OPEN && old[at + 2] === LETTER_F) end = movePlace(old, at, frameShift, offsetShift, run)
    else end = at
    end = lineEnd(old, at, end)
    at = end + 1
  }
  run.copyUpTo(old[end - 1] === COMMA ? end - 1 : end)
  return at
}

/**
 * A stretch of lines on its way into the result. Numbers that keep their width are written into the copy afterwards, so that a stretch is
 * one copy and not two for each line: this is the inner loop of every small deploy.
 */
class Run {
  readonly #old: Buffer
  readonly #out: Lines
  #copied: number
  #patches: number[] = []

  constructor(old: Buffer, from: number, out: Lines) {
    this.#old = old
    this.#out = out
    this.#copied = from
  }

  /** Replaces the number that stands at `at` and ends before `end`. */
  replace(at: number, end: number, value: number): void {
    if (value < 0) refuse('a place moves before the beginning')
    if (digitsOf(value) === end - at) {
      this.#patches.push(at, end, value)
      return
    }
    this.copyUpTo(at)
    this.#out.text(String(value))
    this.#copied = end
  }

  copyUpTo(end: number): void {
    this.#out.copyPatched(this.#old, this.#copied, end, this.#patches)
    this.#copied = end
    this.#patches = []
  }
}

function digitsOf(value: number): number {
  let digits = 1
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits += 1
  return digits
}

/**
 * Moves the numbers `frame,offset` of a file's line; an empty file has no place. Returns a position in the line after which nothing but
 * the path comes.
 */
function movePlace(old: Buffer, line: number, frameShift: number, offsetShift: number, run: Run): number {
  // ["f",mode,size,mtime,"<64 hex>",frame,offset,"path"]
  const size = afterComma(old, line + 5)
  const content = afterComma(old, afterComma(old, size))
  if (old[size] === ZERO) return content
  const at = content + 67
  if (old[content] !== QUOTE || old[at - 2] !== QUOTE || old[at - 1] !== COMMA) return refuse('a file has no SHA-256')
  const middle = afterComma(old, at)
  const end = afterComma(old, middle)
  run.replace(at, middle - 1, numberIn(old, at, middle - 1) + frameShift)
  run.replace(middle, end - 1, numberIn(old, middle, end - 1) + offsetShift)
  return end
}

/** Where the number that begins at `from` and its comma end. */
function afterComma(old: Buffer, from: number): number {
  let at = from
  // No number has more than 16 digits; the path of another line must not be searched for its commas.
  for (const most = from + 20; old[at] !== COMMA; at += 1) if (at >= most) return refuse('a number does not end')
  return at + 1
}

function numberIn(old: Buffer, from: number, end: number): number {
  let value = 0
  for (let at = from; at < end; at += 1) {
    const byte = old[at] ?? 0
    if (byte < ZERO || byte > ZERO + 9) return refuse('a place is not a number')
    value = value * 10 + byte - ZERO
  }
  return value
}

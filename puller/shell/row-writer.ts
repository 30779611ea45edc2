// Owns filling an empty tree from columns: directories, links, copies out of hot and the files of whole frames, without an order for each
// file. Runs in a worker; what threads share is on shared memory.
import { createHash, type Hash, hash } from 'node:crypto'
import { closeSync, fstatSync, lstatSync, readSync } from 'node:fs'
import { CHARS, type Columns, Rows } from '#fleet/manifest-columns.ts'
import { decompressed } from './decompress.ts'
import { Directories } from './directories.ts'
import * as disk from './disk.ts'
import { errnoOf } from './disk-faults.ts'

export interface RowOptions {
  readonly tree: string
  readonly columns: Columns
  readonly owner: disk.Owner | null
}

/** A frame of the artifact as it came. */
export interface PackedFrame {
  readonly index: number
  readonly packed: Uint8Array<ArrayBuffer>
  readonly rawBytes: number
  /** Rows of the wanted files that begin in it. */
  readonly starting: readonly number[]
}

interface OpenRow {
  readonly row: number
  readonly fd: number
  readonly sum: Hash
  written: number
}

const BUFFER_BYTES = 512 * 1024

/** What filling a directory takes. */
const OWNER_ALL = 0o700

/** The tree must be empty, and nobody else's: files are made at their places at once, and nothing counts before the seal. */
export class RowWriter {
  readonly #rows: Rows
  readonly #columns: Columns
  readonly #owner: disk.Owner | null
  readonly #directories: Directories
  /** Files that go on in the next frame. */
  #open: OpenRow[] = []

  constructor({ tree, columns, owner }: RowOptions) {
    this.#rows = new Rows(columns)
    this.#columns = columns
    this.#owner = owner
    this.#directories = new Directories(tree)
  }

  close(): void {
    for (const { fd } of this.#open) closeSync(fd)
    this.#directories.close()
  }

  /** Makes all directories and links. Directories that cannot be made with their last mode get it at the end, by `finish`. */
  shape(): void {
    const { count, type, mode, mtime } = this.#columns
    for (let row = 0; row < count; row += 1) {
      if (type[row] === CHARS.d) {
        const path = this.#directories.at(this.#rows.path(row))
        disk.mkdir('stage.mkdir', path, this.#isFinished(row) ? mode[row] : OWNER_ALL)
        // A folder with setgid, or with an ACL for what is made in it, decides about the mode too.
        if (this.#isFinished(row) && (lstatSync(path).mode & 0o7777) !== mode[row]) this.#setMode(row)
      }
      if (type[row] !== CHARS.l) continue
      const path = this.#directories.at(this.#rows.path(row))
      disk.symlink('stage.link', this.#rows.content(row), path)
      disk.dressLink('stage.dress', path, mtime[row] ?? 0, this.#owner)
    }
  }

  /** Whether a directory can have its last mode, and has its owner, while it is being filled. */
  #isFinished(row: number): boolean {
    const mode = this.#columns.mode[row] ?? 0
    return this.#owner === null && (mode & OWNER_ALL) === OWNER_ALL && disk.isMadeWith(mode)
  }

  /** Gives directories their mode and owner, deepest first. */
  finish(): void {
    const { count, type } = this.#columns
    // A directory stands before what is in it: backwards, what is deepest comes first.
    for (let row = count - 1; row >= 0; row -= 1) {
      if (type[row] !== CHARS.d || this.#isFinished(row)) continue
      const path = this.#rows.path(row)
      if (this.#owner !== null) disk.chown('stage.dress', this.#directories.at(path), this.#owner)
      this.#setMode(row)
    }
  }

  #setMode(row: number): void {
    const fd = this.#directories.pin(this.#rows.path(row))
    try {
      disk.chmod('stage.mode', `/proc/self/fd/${fd}`, this.#columns.mode[row] ?? 0)
    } finally {
      closeSync(fd)
    }
  }

  /**
   * Writes the parts of files that lie in frames. Frames that share a file must come in order, to the same writer.
   * @returns rows whose bytes were wrong: nothing of them is left
   */
  writeFrames(frames: readonly PackedFrame[]): number[] {
    return frames.flatMap((frame) => decompressed(frame.packed, frame.rawBytes, (raw) => this.#write(frame, raw)))
  }

  #write({ index, starting }: PackedFrame, raw: Buffer | null): number[] {
    const wrong: number[] = []
    const open = this.#open
    this.#open = []
    for (const file of open) {
      if (raw === null) wrong.push(this.#drop(file))
      else this.#goOn(file, raw.subarray(0, this.#left(file)), wrong)
    }
    for (const row of starting) {
      const offset = this.#columns.offset[row] ?? 0
      const size = this.#columns.size[row] ?? 0
      if (raw === null || this.#columns.frame[row] !== index) wrong.push(row)
      else if (offset + size <= raw.byteLength) this.#whole(row, raw.subarray(offset, offset + size), wrong)
      else this.#goOn(this.#begin(row), raw.subarray(offset), wrong)
    }
    return wrong
  }

  /** Empty files lie in no frame. */
  writeEmpty(rows: readonly number[]): number[] {
    const wrong: number[] = []
    for (const row of rows) this.#whole(row, new Uint8Array(0), wrong)
    return wrong
  }

  /** Copies files from another tree of this node, proving each by its digest. @returns rows that lie there otherwise, or not at all */
  copy(from: string, rows: readonly number[]): number[] {
    const sources = new Directories(from)
    const buffer = Buffer.allocUnsafe(BUFFER_BYTES)
    const wrong: number[] = []
    try {
      for (const row of rows) this.#copyOne(sources, row, buffer, wrong)
      return wrong
    } finally {
      sources.close()
    }
  }

  #copyOne(sources: Directories, row: number, buffer: Buffer, wrong: number[]): void {
    const size = this.#columns.size[row] ?? 0
    let fd: number
    try {
      fd = sources.openFile(this.#rows.path(row))
    } catch (error) {
      if (errnoOf(error) === 'EIO') throw error
      wrong.push(row)
      return
    }
    try {
      const stat = fstatSync(fd)
      if (!stat.isFile() || stat.size !== size) wrong.push(row)
      else if (size <= buffer.byteLength) this.#whole(row, buffer.subarray(0, readSync(fd, buffer, 0, size, 0)), wrong)
      else this.#copyLarge(fd, row, buffer, wrong)
    } finally {
      closeSync(fd)
    }
  }

  #copyLarge(fd: number, row: number, buffer: Buffer, wrong: number[]): void {
    const file = this.#begin(row)
    while (this.#left(file) > 0) {
      const bytes = readSync(fd, buffer, 0, Math.min(buffer.byteLength, this.#left(file)), file.written)
      if (bytes === 0) {
        wrong.push(this.#drop(file))
        return
      }
      this.#goOn(file, buffer.subarray(0, bytes), wrong)
    }
    this.#open = this.#open.filter((other) => other !== file)
  }

  #left(file: OpenRow): number {
    return (this.#columns.size[file.row] ?? 0) - file.written
  }

  #whole(row: number, content: Uint8Array, wrong: number[]): void {
    if (content.byteLength !== this.#columns.size[row] || hash('sha256', content) !== this.#rows.content(row)) {
      wrong.push(row)
      return
    }
    const fd = this.#create(row)
    try {
      if (content.byteLength > 0) disk.writeAll('stage.write', fd, content)
      this.#dress(fd, row)
    } finally {
      closeSync(fd)
    }
  }

  #begin(row: number): OpenRow {
    return { row, fd: this.#create(row), sum: createHash('sha256'), written: 0 }
  }

  #goOn(file: OpenRow, part: Uint8Array, wrong: number[]): void {
    file.sum.update(part)
    disk.writeAll('stage.write', file.fd, part)
    file.written += part.byteLength
    if (this.#left(file) > 0) {
      if (!this.#open.includes(file)) this.#open.push(file)
      return
    }
    if (file.sum.digest('hex') !== this.#rows.content(file.row)) {
      wrong.push(this.#drop(file))
      return
    }
    try {
      this.#dress(file.fd, file.row)
    } finally {
      closeSync(file.fd)
    }
  }

  #drop(file: OpenRow): number {
    closeSync(file.fd)
    this.#open = this.#open.filter((other) => other !== file)
    disk.unlink('stage.drop', this.#directories.at(this.#rows.path(file.row)))
    return file.row
  }

  #create(row: number): number {
    return disk.create('stage.create', this.#directories.at(this.#rows.path(row)), this.#columns.mode[row] ?? 0)
  }

  #dress(fd: number, row: number): void {
    const { mode, mtime } = this.#columns
    disk.dress('stage.dress', fd, mode[row] ?? 0, mtime[row] ?? 0, this.#owner)
  }
}

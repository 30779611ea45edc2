// Owns writing the files of a tree: each as a new inode, hashed as it is written, and renamed into place only when it is right. Runs in a worker.
import { createHash, type Hash, hash } from 'node:crypto'
import { closeSync, fstatSync, readSync } from 'node:fs'
import { decompressed } from './decompress.ts'
import { Directories } from './directories.ts'
import * as disk from './disk.ts'
import { errnoOf } from './disk-faults.ts'
import type { FileOrder, FilePiece, KeptPart, WrongFile } from './file-order.ts'

interface OpenFile {
  readonly fd: number
  readonly sum: Hash
  readonly kept: readonly KeptPart[]
  written: number
}

export interface WriterOptions {
  readonly tree: string
  /** Where files lie until they are right; on the volume of the tree, and of this attempt alone. */
  readonly attempt: string
  readonly owner: disk.Owner | null
}

const COPY_BYTES = 1024 * 1024
const ELSEWHERE = 'a file that another thread has begun'

export class TreeWriter {
  readonly #options: WriterOptions
  readonly #directories: Directories
  readonly #open = new Map<number, OpenFile>()
  /** Files that were given up: what else arrives of them is of no use, until they begin anew. */
  readonly #dropped = new Set<number>()
  /** Files that lie ready beside the tree. */
  readonly #ready = new Set<number>()
  readonly #bases = new Map<string, Directories>()
  readonly #buffer = Buffer.allocUnsafe(COPY_BYTES)

  constructor(options: WriterOptions) {
    this.#options = options
    this.#directories = new Directories(options.tree)
  }

  close(): void {
    for (const { fd } of this.#open.values()) closeSync(fd)
    for (const base of this.#bases.values()) base.close()
    this.#directories.close()
  }

  /** Directories came or went. */
  forget(): void {
    this.#directories.forget()
    for (const base of this.#bases.values()) base.forget()
  }

  /**
   * Decompresses a frame and writes the parts of files in it. Frames of one file must come in order, to the same writer.
   * @returns the files that were finished with wrong bytes; all of the frame's when it is no frame of `rawBytes`
   */
  writeFrame(frame: Uint8Array, rawBytes: number, pieces: readonly FilePiece[], place: boolean): WrongFile[] {
    return decompressed(frame, rawBytes, (raw) => {
      if (raw === null) return pieces.map(({ file }) => this.#drop(file.entry, 'a broken frame'))
      return pieces.flatMap((piece) => this.#writePiece(raw, piece, place) ?? [])
    })
  }

  /** Writes files whose whole content is at hand; those of no bytes among them. */
  writeWhole(
    files: readonly { readonly file: FileOrder; readonly content: Uint8Array }[],
    place: boolean,
  ): WrongFile[] {
    return files.flatMap(({ file, content }) => {
      const piece = { file, offset: 0, bytes: content.byteLength, at: 0 }
      return this.#writePiece(content, piece, place) ?? []
    })
  }

  /** Makes files of which every part is kept. */
  assemble(files: readonly FileOrder[], place: boolean): WrongFile[] {
    return files.flatMap((file) => {
      const open = this.#begin(file)
      return (open ? this.#goOn(file, open, place) : this.#drop(file.entry, ELSEWHERE)) ?? []
    })
  }

  /**
   * Gives up all files that are not finished: whatever brings them next may reach another thread.
   * @param again entries that are brought anew: those that lie ready beside the tree go as well
   */
  giveUp(again: readonly number[]): void {
    for (const entry of this.#open.keys()) this.#drop(entry, '')
    for (const entry of again) if (this.#ready.delete(entry)) disk.unlink('stage.drop', this.#aside(entry))
  }

  /** Copies files out of a tree of this node. @returns those that are not there or whose bytes are others by now */
  copy(
    from: string,
    files: readonly { readonly file: FileOrder; readonly source: string }[],
    place: boolean,
  ): WrongFile[] {
    const sources = new Directories(from)
    try {
      return files.flatMap(({ file, source }) => this.#copyOne(sources, source, file, place) ?? [])
    } finally {
      sources.close()
    }
  }

  /** Renames files that were finished aside to where they belong. */
  place(files: readonly FileOrder[]): void {
    for (const file of files) {
      const path = this.#directories.at(file.path)
      // Taken away first: to rename over a file makes ext4 write the new one out on the spot, and an unsealed tree needs no such care.
      if (file.replaces) disk.unlink('stage.replace', path)
      disk.rename('stage.place', this.#aside(file.entry), path)
      this.#ready.delete(file.entry)
    }
  }

  #aside(entry: number): string {
    return `${this.#options.attempt}/${entry}`
  }

  #writePiece(raw: Uint8Array, piece: FilePiece, place: boolean): WrongFile | null {
    const { file } = piece
    const part = raw.subarray(piece.offset, piece.offset + piece.bytes)
    if (piece.bytes === file.size) {
      const got = hash('sha256', part)
      if (got !== file.content) return { entry: file.entry, got }
      // What is whole and right needs no place aside.
      const fd = place ? this.#createInPlace(file) : this.#create(file)
      if (fd === null) return this.#drop(file.entry, ELSEWHERE)
      this.#writeAndFinish(fd, part, file, false)
      if (!place) this.#ready.add(file.entry)
      return null
    }
    const open = this.#openFor(file, piece.at)
    if (open === null) return this.#drop(file.entry, 'parts that do not fit together')
    open.sum.update(part)
    disk.writeAll('stage.write', open.fd, part)
    open.written += part.byteLength
    return this.#goOn(file, open, place)
  }

  #createInPlace({ path, mode, replaces }: FileOrder): number {
    const at = this.#directories.at(path)
    if (replaces) disk.unlink('stage.replace', at)
    try {
      return disk.create('stage.create', at, mode)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      // Of an earlier way of bringing the same file, which was given up.
      disk.unlink('stage.replace', at)
      return disk.create('stage.create', at, mode)
    }
  }

  /** The file that a part belongs into, begun if it is the first; null when that is not where the file has got to. */
  #openFor(file: FileOrder, at: number): OpenFile | null {
    const known = this.#open.get(file.entry)
    if (known !== undefined && at > 0) return known.written === at ? known : null
    if (at > 0 && this.#dropped.has(file.entry)) return null
    const open = this.#begin(file)
    return open !== null && this.#fill(open) && open.written === at ? open : null
  }

  /** Creates a file aside; null when another thread has begun it, as a delta that deals out the parts of one file can bring about. */
  #create({ entry, mode }: FileOrder): number | null {
    if (this.#open.has(entry)) this.#drop(entry, '')
    try {
      return disk.create('stage.create', this.#aside(entry), mode)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      return null
    }
  }

  #begin(file: FileOrder): OpenFile | null {
    const { entry, kept = [] } = file
    const fd = this.#create(file)
    if (fd === null) return null
    this.#dropped.delete(entry)
    const open = { fd, sum: createHash('sha256'), kept, written: 0 }
    this.#open.set(entry, open)
    return open
  }

  #goOn(file: FileOrder, open: OpenFile, place: boolean): WrongFile | null {
    if (!this.#fill(open)) return this.#drop(file.entry, 'a file it was to be made from is gone')
    return open.written === file.size ? this.#end(file, open, place) : null
  }

  /** Copies kept parts as long as the next one is where the file has got to. @returns false when one cannot be read */
  #fill(open: OpenFile): boolean {
    const next = () => open.kept.find((part) => part.at === open.written)
    for (let part = next(); part !== undefined; part = next()) {
      const end = open.written + part.bytes
      let fd: number
      try {
        fd = this.#base(part.tree).openFile(part.path)
      } catch (error) {
        if (errnoOf(error) === 'EIO') throw error
        return false
      }
      try {
        while (open.written < end) {
          const at = part.fromAt + part.bytes - (end - open.written)
          const bytes = readSync(fd, this.#buffer, 0, Math.min(COPY_BYTES, end - open.written), at)
          if (bytes === 0) return false
          open.sum.update(this.#buffer.subarray(0, bytes))
          disk.writeAll('stage.write', open.fd, this.#buffer.subarray(0, bytes))
          open.written += bytes
        }
      } finally {
        closeSync(fd)
      }
    }
    return true
  }

  #base(tree: string): Directories {
    let base = this.#bases.get(tree)
    if (base === undefined) {
      base = new Directories(tree)
      this.#bases.set(tree, base)
    }
    return base
  }

  #end(file: FileOrder, open: OpenFile, place: boolean): WrongFile | null {
    const got = open.sum.digest('hex')
    if (got !== file.content) return this.#drop(file.entry, got)
    this.#open.delete(file.entry)
    this.#writeAndFinish(open.fd, new Uint8Array(0), file, place)
    if (!place) this.#ready.add(file.entry)
    return null
  }

  #writeAndFinish(fd: number, rest: Uint8Array, file: FileOrder, place: boolean): void {
    try {
      if (rest.byteLength > 0) disk.writeAll('stage.write', fd, rest)
      disk.dress('stage.dress', fd, file.mode, file.mtime, this.#options.owner)
    } finally {
      closeSync(fd)
    }
    if (place) this.place([file])
  }

  #drop(entry: number, got: string): WrongFile {
    this.#dropped.add(entry)
    const open = this.#open.get(entry)
    if (open !== undefined) {
      closeSync(open.fd)
      this.#open.delete(entry)
      disk.unlink('stage.drop', this.#aside(entry))
    }
    return { entry, got }
  }

  #copyOne(sources: Directories, source: string, file: FileOrder, place: boolean): WrongFile | null {
    let fd: number
    try {
      fd = sources.openFile(source)
    } catch (error) {
      if (errnoOf(error) === 'EIO') throw error
      return { entry: file.entry, got: 'no such file' }
    }
    try {
      const stat = fstatSync(fd)
      if (!stat.isFile() || stat.size !== file.size) return { entry: file.entry, got: `${stat.size} bytes` }
      let wrong: WrongFile | null = null
      for (let at = 0; at < file.size && wrong === null; ) {
        const bytes = readSync(fd, this.#buffer, 0, Math.min(COPY_BYTES, file.size - at), at)
        if (bytes === 0) return this.#drop(file.entry, 'a file that shrinks')
        wrong = this.#writePiece(this.#buffer, { file, offset: 0, bytes, at }, place)
        at += bytes
      }
      return wrong
    } finally {
      closeSync(fd)
    }
  }
}

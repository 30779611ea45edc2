// Owns looking at a tree: every path in it with its facts, and the SHA-256 of files. Writes nothing. Runs in a worker.
import { createHash, hash } from 'node:crypto'
import { closeSync, fstatSync, lstatSync, readdirSync, readlinkSync, readSync, type Stats } from 'node:fs'
import { FleetError } from '#fleet/errors.ts'
import { componentOf, Directories } from './directories.ts'
import { errnoOf } from './disk-faults.ts'

/** Facts of one path, `STRIDE` numbers each, in the order of these names. Times are in milliseconds as Node gives them, fractions included. */
export const FACT = { ino: 0, size: 1, mtimeMs: 2, ctimeMs: 3, mode: 4, nlink: 5, uid: 6, gid: 7 } as const
export const STRIDE = 8

/** Everything that lies in a tree, root excluded, parents before their children. */
export interface Walk {
  readonly paths: readonly string[]
  /** One letter per path: d, f, l, or ? for what cannot be deployed. */
  readonly types: string
  readonly facts: Float64Array<ArrayBuffer>
  /** Index of a link → its target. */
  readonly targets: ReadonlyMap<number, string>
  /** Device of the whole tree, and the inode of its root. */
  readonly dev: number
  readonly rootIno: number
}

/** @throws FleetError `ROOT_UNFIT` for a mount inside the tree; system errors */
export function walk(tree: string): Walk {
  const directories = new Directories(tree)
  try {
    return new Walker(directories).run()
  } finally {
    directories.close()
  }
}

class Walker {
  readonly #directories: Directories
  readonly #paths: string[] = []
  readonly #targets = new Map<number, string>()
  #types = ''
  #facts = new Float64Array(STRIDE * 1024)
  #dev = 0

  constructor(directories: Directories) {
    this.#directories = directories
  }

  run(): Walk {
    const root = lstatSync(`${this.#directories.handle('')}/.`)
    this.#dev = root.dev
    const pending = ['']
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
      for (const child of this.#list(directory)) pending.push(child)
    }
    return {
      paths: this.#paths,
      types: this.#types,
      facts: this.#facts.slice(0, this.#paths.length * STRIDE),
      targets: this.#targets,
      dev: this.#dev,
      rootIno: root.ino,
    }
  }

  #list(directory: string): string[] {
    const handle = this.#directories.handle(directory)
    const children: string[] = []
    for (const raw of readdirSync(`${handle}/.`, 'latin1')) {
      const name = componentOf(raw)
      const path = directory === '' ? name : `${directory}/${name}`
      const at = name === raw ? `${handle}/${raw}` : this.#directories.at(path)
      const stat = lstatSync(at, { throwIfNoEntry: false })
      if (stat === undefined) continue
      if (stat.dev !== this.#dev) throw new FleetError('ROOT_UNFIT', `${path} in the tree is a mount point`)
      if (stat.isSymbolicLink()) this.#targets.set(this.#paths.length, readlinkSync(at))
      if (this.#add(path, stat) === 'd') children.push(path)
    }
    return children
  }

  #add(path: string, stat: Stats): string {
    const type = stat.isFile() ? 'f' : stat.isDirectory() ? 'd' : stat.isSymbolicLink() ? 'l' : '?'
    const from = this.#paths.length * STRIDE
    if (from >= this.#facts.length) {
      const larger = new Float64Array(this.#facts.length * 2)
      larger.set(this.#facts)
      this.#facts = larger
    }
    writeFacts(this.#facts, from, stat)
    this.#types += type
    this.#paths.push(path)
    return type
  }
}

function writeFacts(facts: Float64Array, from: number, stat: Stats): void {
  facts[from + FACT.ino] = stat.ino
  facts[from + FACT.size] = stat.size
  facts[from + FACT.mtimeMs] = stat.mtimeMs
  facts[from + FACT.ctimeMs] = stat.ctimeMs
  facts[from + FACT.mode] = stat.mode & 0o7777
  facts[from + FACT.nlink] = stat.nlink
  facts[from + FACT.uid] = stat.uid
  facts[from + FACT.gid] = stat.gid
}

/** Facts of given paths, zeros for one that is gone. */
export function factsOf(tree: string, paths: readonly string[]): Float64Array<ArrayBuffer> {
  const directories = new Directories(tree)
  const facts = new Float64Array(paths.length * STRIDE)
  try {
    for (const [index, path] of paths.entries()) {
      const stat = lstatSync(directories.at(path), { throwIfNoEntry: false })
      if (stat !== undefined) writeFacts(facts, index * STRIDE, stat)
    }
    return facts
  } finally {
    directories.close()
  }
}

/** SHA-256 in hexadecimal of each file as it lies; null for one that is gone, is no regular file, or that nobody may read. */
export function hashFiles(tree: string, paths: readonly string[]): (string | null)[] {
  const directories = new Directories(tree)
  const buffer = Buffer.allocUnsafe(1024 * 1024)
  try {
    return paths.map((path) => hashFile(directories, path, buffer))
  } finally {
    directories.close()
  }
}

function hashFile(directories: Directories, path: string, buffer: Buffer): string | null {
  let fd: number
  try {
    fd = directories.openFile(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EACCES'].includes(errnoOf(error) ?? '')) return null
    throw error
  }
  try {
    return fstatSync(fd).isFile() ? hashOpen(fd, buffer) : null
  } finally {
    closeSync(fd)
  }
}

function hashOpen(fd: number, buffer: Buffer): string {
  const first = readSync(fd, buffer)
  if (first < buffer.byteLength && readSync(fd, buffer, first, buffer.byteLength - first, first) === 0) {
    return hash('sha256', buffer.subarray(0, first))
  }
  const sum = createHash('sha256')
  for (let at = 0; ; ) {
    const count = readSync(fd, buffer, 0, buffer.byteLength, at)
    if (count === 0) return sum.digest('hex')
    sum.update(buffer.subarray(0, count))
    at += count
  }
}

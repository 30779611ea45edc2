// Owns reaching a path below a tree without ever following a link: one handle per directory, opened component by component.
import { closeSync, constants, openSync } from 'node:fs'

// Node lacks openat(2); a path below /proc/self/fd/<n> is the same thing. O_PATH needs no permission to read the directory.
const O_PATH = 0o10000000
const AS_DIRECTORY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW
const KEPT_OPEN = 200

/**
 * Marks a path component that is no valid UTF-8: NUL and its bytes in hexadecimal. NUL cannot stand in a real name, and such a name
 * cannot stand in a manifest: it is only ever removed.
 */
const ALIEN = '\0'

/** A name as the disk gave it, latin1 for bytes, as a path component of ours. */
export function componentOf(latin1: string): string {
  if (/^[\x01-\x7f]*$/.test(latin1)) return latin1
  const bytes = Buffer.from(latin1, 'latin1')
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : ALIEN + bytes.toString('hex')
}

/** A path as people may see it: alien bytes, control and direction characters escaped, so that it can be logged. */
export function printable(path: string): string {
  return path
    .replaceAll(/\0([0-9a-f]*)/g, (_, hex: string) => hex.replaceAll(/../g, (byte) => `\\x${byte}`))
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

/** The directories of one tree. Every path is relative and `/`-separated; '' is the tree itself. */
export class Directories {
  readonly #root: number
  readonly #open = new Map<string, number>()

  /** @throws system errors: ENOENT, ENOTDIR when the tree is a link */
  constructor(root: string) {
    this.#root = openSync(root, AS_DIRECTORY)
  }

  /** A path to give to a system call: its last component is not followed here, what the call does is its own affair. */
  at(path: string): string | Buffer {
    const cut = path.lastIndexOf('/')
    return this.#below(this.handle(cut < 0 ? '' : path.slice(0, cut)), path.slice(cut + 1))
  }

  /** The directory itself as a path; reading it or changing its mode acts on this very directory. */
  handle(directory: string): string {
    return `/proc/self/fd/${this.#descriptor(directory)}`
  }

  /** Opens a file's or directory's inode itself; the caller closes it. Changing mode or time through `/proc/self/fd/<n>` needs no permission to read. */
  pin(path: string): number {
    return openSync(this.at(path), O_PATH | constants.O_NOFOLLOW)
  }

  /** Opens a file for reading, never through a link. */
  openFile(path: string): number {
    return openSync(this.at(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  }

  /** Forgets all handles, after directories were removed or made. */
  forget(): void {
    for (const fd of this.#open.values()) closeSync(fd)
    this.#open.clear()
  }

  close(): void {
    this.forget()
    closeSync(this.#root)
  }

  #below(handle: string, name: string): string | Buffer {
    if (!name.startsWith(ALIEN)) return `${handle}/${name}`
    return Buffer.concat([Buffer.from(`${handle}/`), Buffer.from(name.slice(1), 'hex')])
  }

  #descriptor(directory: string): number {
    if (directory === '') return this.#root
    const known = this.#open.get(directory)
    if (known !== undefined) {
      // Back to the end: the first of the map is always the one that was not used for longest.
      this.#open.delete(directory)
      this.#open.set(directory, known)
      return known
    }
    const fd = openSync(this.at(directory), AS_DIRECTORY)
    this.#open.set(directory, fd)
    if (this.#open.size > KEPT_OPEN) this.#closeOldest()
    return fd
  }

  #closeOldest(): void {
    for (const [path, fd] of this.#open) {
      closeSync(fd)
      this.#open.delete(path)
      return
    }
  }
}

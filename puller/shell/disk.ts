// Owns every operation that changes the disk: each passes a named step (see failpoints.ts), so that every moment can be tested.
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  futimesSync,
  lchownSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { step } from './failpoints.ts'

/** A path as text, or as bytes when it is no valid UTF-8. */
export type DiskPath = string | Buffer

/** Creates a file that must not be there yet, never through a link. */
export function create(at: string, path: DiskPath, mode = 0o600): number {
  step(at)
  return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode)
}

/** Opens a file that stays where it is, made when it is missing, for reading only and never through a link. */
export function openOrCreate(at: string, path: string, mode: number): number {
  step(at)
  return openSync(path, constants.O_RDONLY | constants.O_CREAT | constants.O_NOFOLLOW, mode)
}

/** Writes over a small file that nobody needs after a crash. */
export function overwrite(at: string, path: string, bytes: Uint8Array): void {
  step(at)
  const fd = openSync(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW)
  try {
    writeAll(at, fd, bytes)
  } finally {
    closeSync(fd)
  }
}

/** Writes all of `bytes`: a short write is continued, never taken for success. */
export function writeAll(at: string, fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) {
    const left = bytes.byteLength - done
    step(at, () => writeSync(fd, bytes, done, left >> 1))
    done += writeSync(fd, bytes, done, left)
  }
}

const UMASK = process.umask()

/** Whether what is made with this mode has it from the start: nearly always, since what the umask takes away is mostly nothing that a build has. */
export function isMadeWith(mode: number): boolean {
  return (mode & UMASK) === 0
}

/** Gives an open file that was created with `mode` its owner (null leaves it), that mode and a time (whole seconds since 1970). */
export function dress(at: string, fd: number, mode: number, mtime: number, owner: Owner | null): void {
  if (owner !== null) {
    step(at)
    fchownSync(fd, owner.uid, owner.gid)
  }
  step(at)
  if (!isMadeWith(mode)) {
    fchmodSync(fd, mode)
    step(at)
  }
  futimesSync(fd, mtime, mtime)
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export function syncAndClose(at: string, fd: number): void {
  try {
    step(at)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

export function syncDirectory(at: string, path: string): void {
  step(at)
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

export function rename(at: string, from: DiskPath, to: DiskPath): void {
  step(at)
  renameSync(from, to)
}

/** Removes a name that is no directory. @returns false when there was none */
export function unlink(at: string, path: DiskPath): boolean {
  step(at)
  return gone(() => unlinkSync(path))
}

/** Removes an empty directory. @returns false when there was none */
export function rmdir(at: string, path: DiskPath): boolean {
  step(at)
  return gone(() => rmdirSync(path))
}

function gone(remove: () => void): boolean {
  try {
    remove()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

export function mkdir(at: string, path: DiskPath, mode = 0o700): void {
  step(at)
  mkdirSync(path, { mode })
}

/** Makes a directory of a name that nothing has, beginning with `prefix`. @returns its path */
export function mkdtemp(at: string, prefix: string): string {
  step(at)
  return mkdtempSync(prefix)
}

export function symlink(at: string, target: string, path: DiskPath): void {
  step(at)
  symlinkSync(target, path)
}

/** Changes a mode by a path whose last component the caller knows to be no link (a handle below /proc/self/fd). */
export function chmod(at: string, handle: DiskPath, mode: number): void {
  step(at)
  chmodSync(handle, mode)
}

/** Changes a time by such a handle. @param mtime whole seconds since 1970 */
export function touch(at: string, handle: string, mtime: number): void {
  step(at)
  utimesSync(handle, mtime, mtime)
}

/** Gives a link itself its time and owner, never what it points to. */
export function dressLink(at: string, path: DiskPath, mtime: number, owner: Owner | null): void {
  if (owner !== null) {
    step(at)
    lchownSync(path, owner.uid, owner.gid)
  }
  step(at)
  lutimesSync(path, mtime, mtime)
}

/** Changes the owner of what a path names itself. */
export function chown(at: string, path: DiskPath, owner: Owner): void {
  step(at)
  lchownSync(path, owner.uid, owner.gid)
}

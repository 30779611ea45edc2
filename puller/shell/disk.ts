// Owns every operation that changes the disk: each passes a named step, where tests kill the process or make the disk fail.
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
  openSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { constants as os } from 'node:os'
import { isMainThread, workerData } from 'node:worker_threads'

/** A path as text, or as bytes when it is no valid UTF-8. */
export type DiskPath = string | Buffer

interface Failpoint {
  readonly name: string
  /** The n-th time the step is passed; null for every time. */
  readonly nth: number | null
  readonly action: string
}

/**
 * `HOTCOLD_FAILPOINT=<step>[@n]:kill` or `<step>[@n]:error:<ERRNO>`, several with commas between them. The step `*` is any step, so that
 * `*@17:kill` dies at the seventeenth change of the disk, whichever that is. Inert without the variable.
 */
function readFailpoints(text: string | undefined): readonly Failpoint[] {
  return (text ?? '').split(',').flatMap((part) => {
    const match = /^([\w.*]+)(?:@(\d+))?:(kill|error:[A-Z]+)$/.exec(part.trim())
    const [, name, nth, action] = match ?? []
    return name && action ? [{ name, nth: nth ? Number(nth) : null, action }] : []
  })
}

const failpoints = readFailpoints(process.env.HOTCOLD_FAILPOINT)

/** How often each failpoint was passed, over all threads of this process. */
export const stepCounters: SharedArrayBuffer =
  !isMainThread && workerData?.stepCounters instanceof SharedArrayBuffer
    ? workerData.stepCounters
    : new SharedArrayBuffer(64)
const counts = new Int32Array(stepCounters)

/** Passes a step. Does nothing unless `HOTCOLD_FAILPOINT` names it. */
export function step(name: string): void {
  if (failpoints.length === 0) return
  for (const [index, failpoint] of failpoints.entries()) {
    if (failpoint.name !== name && failpoint.name !== '*') continue
    const nth = Atomics.add(counts, index, 1) + 1
    if (failpoint.nth !== null && failpoint.nth !== nth) continue
    if (failpoint.action === 'kill') {
      process.kill(process.pid, 'SIGKILL')
      // The signal may need a moment to arrive; nothing may change in that moment.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000)
    }
    throw injected(name, failpoint.action.slice('error:'.length))
  }
}

function injected(name: string, code: string): Error {
  const number = Object.entries(os.errno).find(([key]) => key === code)?.[1] ?? 5
  // Node has no name for EDQUOT: it arrives as a bare number, and must here too.
  const shown = code === 'EDQUOT' ? 'Unknown system error -122' : code
  return Object.assign(new Error(`${shown}: injected at ${name}`), { code: shown, errno: -number })
}

/** Creates a file that must not be there yet, never through a link. */
export function create(at: string, path: DiskPath, mode = 0o600): number {
  step(at)
  return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode)
}

/** Writes all of `bytes`: a short write is continued, never taken for success. */
export function writeAll(at: string, fd: number, bytes: Uint8Array): void {
  step(at)
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(fd, bytes, done, bytes.byteLength - done)
}

const UMASK = process.umask()

/** Gives an open file that was created with `mode` its owner (null leaves it), that mode and a time (whole seconds since 1970). */
export function dress(at: string, fd: number, mode: number, mtime: number, owner: Owner | null): void {
  step(at)
  if (owner !== null) fchownSync(fd, owner.uid, owner.gid)
  // Nearly never: what the umask takes away from a new file is mostly nothing that a build has.
  if ((mode & UMASK) !== 0) fchmodSync(fd, mode)
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

export function symlink(at: string, target: string, path: DiskPath): void {
  step(at)
  symlinkSync(target, path)
}

/** Changes a mode by a path whose last component the caller knows to be no link (a handle below /proc/self/fd). */
export function chmod(at: string, handle: string, mode: number): void {
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
  step(at)
  if (owner !== null) lchownSync(path, owner.uid, owner.gid)
  lutimesSync(path, mtime, mtime)
}

/** Changes the owner of what a path names itself. */
export function chown(at: string, path: DiskPath, owner: Owner): void {
  step(at)
  lchownSync(path, owner.uid, owner.gid)
}

// Owns the store in a directory (`file:///dir`): also what is used where no S3 is at hand.
import { randomUUID } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { inParts } from '#adapters/in-parts.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { assert } from '#fleet/assert.ts'
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore, Clock } from '#fleet/ports.ts'

const PIECE_BYTES = 256 * 1024

const INCOMING = '.incoming-'
/** What nobody has written to for so long was left by a publisher that died. */
const ABANDONED_MS = 24 * 3_600_000

/**
 * A store in `root`, which is made with the first object. Objects are files, complete and durable from the moment they have their name.
 * @param mustExist for readers: a directory that is not there is a volume that is not mounted, and says nothing of its objects
 */
export function fileStore(root: string, clock: Pick<Clock, 'now'> = systemClock, mustExist = false): BuildStore {
  const place = (name: string) => {
    assert(
      name.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
      `an object name stays inside the store: ${name}`,
    )
    return join(root, name)
  }
  return {
    async find(name, signal) {
      signal.throwIfAborted()
      const facts = await stat(place(name), { bigint: true }).catch((error: unknown) => absentOr(error, name))
      if (facts === null && mustExist && (await isAway(root))) throw away(root)
      return facts?.isFile() ? { bytes: Number(facts.size), version: versionOf(facts) } : null
    },
    async *read(name, { range, version }, signal) {
      signal.throwIfAborted()
      const file = await open(place(name), 'r').catch(async (error: unknown) => {
        throw await readFault(error, root, name)
      })
      try {
        const facts = await file.stat({ bigint: true })
        if (version !== undefined && version !== versionOf(facts)) {
          throw new FleetError('STORE_CHANGED', `${name} in ${root} is no longer the object it was`)
        }
        const end = Math.min(range?.end ?? Number(facts.size), Number(facts.size))
        yield* pieces(file, { start: range?.start ?? 0, end }, `${name} in ${root}`, signal)
      } finally {
        await file.close()
      }
    },
    async create(name, body, signal) {
      const path = place(name)
      // Beside the builds, on the same file system: below a build there are finished objects only.
      const spare = join(root, `${INCOMING}${randomUUID()}`)
      try {
        await mkdir(dirname(path), { recursive: true })
        const taken = await stat(path).catch(() => null)
        if (taken !== null) return 'exists'
        await forgetAbandoned(root, clock.now())
        await writeDurably(spare, body, signal)
        // A hard link fails when the name is taken: the one atomic create-if-absent that holds a whole file.
        await link(spare, path)
        await syncDirectories(root, dirname(path))
        return 'created'
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return 'exists'
        throw writeFault(error, root, name)
      } finally {
        await unlink(spare).catch(() => undefined)
      }
    },
    async *list(prefix, signal) {
      signal.throwIfAborted()
      const under = place(prefix.replace(/\/$/, ''))
      const found = await readdir(under, { recursive: true, withFileTypes: true }).catch((error: unknown) =>
        absentOr(error, prefix),
      )
      for (const entry of found ?? []) if (entry.isFile()) yield relative(root, join(entry.parentPath, entry.name))
    },
    async remove(name, signal) {
      signal.throwIfAborted()
      const path = place(name)
      await unlink(path).catch((error: unknown) => absentOr(error, name))
      for (let at = dirname(path); at.length > root.length; at = dirname(at)) {
        if ((await readdir(at).catch(() => ['?'])).length > 0) break
        await rmdir(at).catch(() => undefined)
      }
    },
  }
}

function versionOf(facts: { ino: bigint; size: bigint; mtimeNs: bigint }): string {
  return `${facts.ino}-${facts.size}-${facts.mtimeNs}`
}

async function* pieces(
  file: FileHandle,
  range: { start: number; end: number },
  what: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let at = range.start; at < range.end; ) {
    const wanted = Math.min(PIECE_BYTES, range.end - at)
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, at).catch((cause: unknown) => {
      throw new FleetError('STORE_UNREACHABLE', `${what} cannot be read (${codeOf(cause)})`, { cause })
    })
    signal.throwIfAborted()
    if (bytesRead === 0) throw new FleetError('STORE_UNREACHABLE', `${what} ends before its length`)
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

async function writeDurably(path: string, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    for await (const piece of inParts(body, PIECE_BYTES)) {
      signal.throwIfAborted()
      for (let at = 0; at < piece.byteLength; ) at += (await file.write(piece, at)).bytesWritten
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

async function forgetAbandoned(root: string, nowMs: number): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith(INCOMING)) continue
    const path = join(root, name)
    const facts = await stat(path).catch(() => null)
    if (facts !== null && nowMs - facts.mtimeMs > ABANDONED_MS) await unlink(path).catch(() => undefined)
  }
}

async function syncDirectories(root: string, leaf: string): Promise<void> {
  for (let at = leaf; at.length >= root.length; at = dirname(at)) {
    const directory = await open(at, 'r')
    await directory.sync().finally(() => directory.close())
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function absentOr(error: unknown, name: string): null {
  const code = codeOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') return null
  const denied = code === 'EACCES' || code === 'EPERM'
  throw new FleetError(denied ? 'STORE_DENIED' : 'STORE_UNREACHABLE', `${name} cannot be reached (${code})`, {
    cause: error,
  })
}

async function isAway(root: string): Promise<boolean> {
  return (await stat(root).catch(() => null)) === null
}

function away(root: string, cause?: unknown): FleetError {
  return new FleetError('STORE_UNREACHABLE', `the store directory ${root} is not there`, { cause })
}

async function readFault(error: unknown, root: string, name: string): Promise<unknown> {
  const code = codeOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    if (await isAway(root)) return away(root, error)
    return new FleetError('STORE_MISSING', `${name} is not in ${root}`, { cause: error })
  }
  const denied = code === 'EACCES' || code === 'EPERM'
  return new FleetError(denied ? 'STORE_DENIED' : 'STORE_UNREACHABLE', `${name} in ${root} cannot be read (${code})`, {
    cause: error,
  })
}

function writeFault(error: unknown, root: string, name: string): unknown {
  const code = codeOf(error)
  // What the body threw is not ours to explain; codes of the system are E and capitals.
  if (error instanceof FleetError || !/^E[A-Z0-9]+$/.test(code)) return error
  if (code === 'EROFS')
    return new FleetError('STORE_READ_ONLY', `${root} is on a read-only file system`, { cause: error })
  const denied = code === 'EACCES' || code === 'EPERM'
  return new FleetError(
    denied ? 'STORE_DENIED' : 'STORE_UNREACHABLE',
    `${name} cannot be written to ${root} (${code}): nothing was stored under that name`,
    { cause: error },
  )
}

// Owns small files that must survive a power cut: temporary name, fsync, rename, fsync of the directory, with a reserve for a full disk.

import { randomFillSync } from 'node:crypto'
import { closeSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { FleetError } from '#fleet/errors.ts'
import type { SessionShelf } from '#fleet/ports.ts'
import * as disk from './disk.ts'
import { diskFault, errnoOf } from './disk-faults.ts'

/** A small durable file. `load` gives null when there is none. @throws FleetError `JOURNAL_INVALID` when it is not JSON; disk errors on saving */
export interface Shelf {
  load(): Promise<unknown>
  save(value: unknown): Promise<void>
}

/** Replaces a file durably. After it returns the new bytes are there whatever happens; if it throws, the old or the new bytes are. */
export function writeDurably(at: string, path: string, bytes: Uint8Array): void {
  const { temporary, fd } = writeBeside(at, path, bytes)
  disk.syncAndClose(`${at}.fsync`, fd)
  disk.rename(`${at}.rename`, temporary, path)
  disk.syncDirectory(`${at}.sync`, dirname(path))
}

/** Replaces a file whole, but not durably: after a power cut it may be the old one, gone, or garbage. Whoever reads it must be able to tell. */
export function replaceSoftly(at: string, path: string, bytes: Uint8Array): void {
  const { temporary, fd } = writeBeside(at, path, bytes)
  closeSync(fd)
  disk.rename(`${at}.rename`, temporary, path)
}

/** As `replaceSoftly`, for what only saves work the next time: a disk that does not take it is no reason to fail. */
export function replaceIfPossible(at: string, path: string, bytes: Uint8Array): void {
  try {
    replaceSoftly(at, path, bytes)
  } catch (error) {
    if (errnoOf(error) === null) throw error
  }
}

/** Writes the bytes under a temporary name; the file is left open. When that fails nothing is left. */
function writeBeside(at: string, path: string, bytes: Uint8Array): { temporary: string; fd: number } {
  const temporary = join(dirname(path), `.${basename(path)}.tmp`)
  disk.unlink(`${at}.clear`, temporary)
  const fd = disk.create(`${at}.create`, temporary)
  try {
    disk.writeAll(`${at}.write`, fd, bytes)
    return { temporary, fd }
  } catch (error) {
    closeSync(fd)
    discard(temporary)
    throw error
  }
}

function discard(path: string): void {
  try {
    disk.unlink('discard', path)
  } catch {
    // What remains is removed at the next start; the error that brought us here is the one to tell.
  }
}

/** What only saves work: a file that cannot be read is as good as none. */
export function readIfPossible(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if (errnoOf(error) === null) throw error
    return null
  }
}

export function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw diskFault(error, `reading ${path}`)
  }
}

/** Bytes set aside so that a full disk cannot starve the journal (failures C4). Not zeros: a disk that compresses would give nothing back. */
const RESERVE_BYTES = 64 * 1024

/** The durable files of one `.hotcold` directory. */
export class Cabinet {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Fills the reserve again when it was spent; a disk that is still full leaves it for later. */
  refill(): void {
    const path = join(this.#directory, 'reserve')
    try {
      if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= RESERVE_BYTES) return
      writeDurably('reserve', path, randomFillSync(new Uint8Array(RESERVE_BYTES)))
    } catch {
      discard(join(this.#directory, '.reserve.tmp'))
    }
  }

  /** Saves under a name. On a full disk the reserve is given up first. @throws FleetError `DISK_*` · `INODES_FULL` */
  save(name: string, bytes: Uint8Array): void {
    const path = join(this.#directory, name)
    const at = name.replace(/\.\w+$/, '')
    try {
      try {
        writeDurably(at, path, bytes)
      } catch (error) {
        if (errnoOf(error) !== 'ENOSPC' || !disk.unlink('reserve.spend', join(this.#directory, 'reserve'))) throw error
        writeDurably(at, path, bytes)
      }
    } catch (error) {
      throw diskFault(error, `writing ${path}`, this.#directory)
    }
  }

  load(name: string): Buffer | null {
    return readIfThere(join(this.#directory, name))
  }

  jsonShelf(name: string): Shelf {
    return {
      load: async () => {
        const bytes = this.load(name)
        if (bytes === null) return null
        try {
          return JSON.parse(bytes.toString('utf8')) as unknown
        } catch (cause) {
          throw new FleetError('JOURNAL_INVALID', `${join(this.#directory, name)} is not JSON`, { cause })
        }
      },
      save: async (value) => this.save(name, Buffer.from(`${JSON.stringify(value)}\n`)),
    }
  }

  sessionShelf(name: string): SessionShelf {
    return {
      load: async () => this.load(name)?.toString('utf8').trim() || null,
      save: async (id) => this.save(name, Buffer.from(`${id}\n`)),
    }
  }
}

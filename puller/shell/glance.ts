// Owns looking a sealed tree over by its record, on all threads at once.
import { lstatSync } from 'node:fs'
import type { Columns } from '#fleet/manifest-columns.ts'
import type { Clock } from '#fleet/ports.ts'
import type { SealRecord } from './seal.ts'
import type { Inodes } from './sight.ts'
import type { Workers } from './workers.ts'

/** A tree that is just as it was sealed. */
export interface Glance {
  readonly inodes: Inodes
  /** Sum of its files' sizes. */
  readonly bytes: number
  readonly columns: Columns
}

/** What a tree consists of, by its record. @throws system errors when the tree is not there */
export function inodesOfRecord(tree: string, { ino }: SealRecord): Inodes {
  return { dev: lstatSync(tree).dev, inodes: ino, empty: ino.length <= 1 }
}

/** So long what was seen of a tree is believed: a staging that takes no longer looks once, before it changes anything. */
const FRESH_MS = 5_000

/** Looks at a tree from now on, while other things are done, and again whenever that was too long ago. */
export class Lookout {
  /** What the tree was sealed with; null when there is no copy of that manifest that can be read in one pass. */
  readonly columns: Promise<Columns | null>
  /** What is seen at first. */
  readonly first: Promise<Glance | null>
  readonly #clock: Clock
  readonly #look: (columns: Promise<Columns | null>) => Promise<Glance | null>
  #last: Promise<Glance | null>
  #sinceMs: number
  #looks = 1

  /** @param look null when the tree is not as it was sealed */
  constructor(
    clock: Clock,
    columns: Promise<Columns | null>,
    look: (columns: Promise<Columns | null>) => Promise<Glance | null>,
  ) {
    this.columns = columns
    this.#clock = clock
    this.#look = look
    this.#sinceMs = clock.monotonic()
    this.first = look(columns)
    this.#last = this.first
    this.columns.catch(() => undefined)
    this.first.catch(() => undefined)
  }

  get isFresh(): boolean {
    return this.#clock.monotonic() - this.#sinceMs <= FRESH_MS
  }

  /** How often it has looked. */
  get looks(): number {
    return this.#looks
  }

  /** What was seen, not long ago. @throws as `look` */
  async seen(): Promise<Glance | null> {
    const last = await this.#last
    if (this.isFresh || last === null) return last
    this.#sinceMs = this.#clock.monotonic()
    this.#looks += 1
    this.#last = this.#look(this.columns)
    return await this.#last
  }
}

/** Whether the tree's own directory, the last row of the record, is as it was: nothing was added to it or taken out. */
export function isRootUnchanged(tree: string, { ino, ctimeMs }: SealRecord): boolean {
  const stat = lstatSync(tree, { throwIfNoEntry: false })
  return stat?.isDirectory() === true && stat.ino === ino.at(-1) && stat.ctimeMs === ctimeMs.at(-1)
}

/**
 * Compares every path with the record, no content.
 * @param sealed what the tree was sealed with
 * @returns null when anything is not as the record says, or cannot be told by it
 */
export async function glance(
  workers: Workers,
  tree: string,
  sealed: Promise<Columns | null>,
  record: SealRecord,
): Promise<Glance | null> {
  const columns = await sealed
  if (!isRootUnchanged(tree, record)) return null
  if (columns === null || columns.count + 1 !== record.ino.length) return null
  const skip = new Uint8Array(new SharedArrayBuffer(columns.count))
  if ((await lookOver(workers, tree, columns, record, skip)).length > 0) return null
  const total = columns.size.reduce((sum, size) => sum + size, 0)
  return { inodes: inodesOfRecord(tree, record), bytes: total, columns }
}

/** Compares all rows that are not to be skipped; see `look`. @returns those that differ */
export async function lookOver(
  workers: Workers,
  tree: string,
  columns: Columns,
  record: SealRecord,
  skip: Uint8Array<SharedArrayBuffer>,
): Promise<number[]> {
  const next = new Int32Array(new SharedArrayBuffer(4))
  const order = { tree, columns, record, skip, next }
  const drive = async (_: unknown, index: number): Promise<number[]> => {
    const wrong: number[] = []
    while (Atomics.load(next, 0) < columns.count) wrong.push(...(await workers.call(index, 'look', [order])))
    return wrong
  }
  // One more waits at each thread, so that it goes on while this one is busy.
  return (await Promise.all(Array.from({ length: 2 * workers.count }, drive))).flat()
}

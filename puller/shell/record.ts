// Owns making the record of a seal: what every path of a tree looks like at the moment it is proven complete.
import { closeSync, fstatSync } from 'node:fs'
import { join } from 'node:path'
import { FleetError } from '#fleet/errors.ts'
import type { Entry } from '#fleet/manifest.ts'
import { CHARS, type Columns, Rows } from '#fleet/manifest-columns.ts'
import type { Clock } from '#fleet/ports.ts'
import type { StagePlan } from '#fleet/stage-plan.ts'
import { allEnded } from './all-ended.ts'
import { printable } from './directories.ts'
import * as disk from './disk.ts'
import { emptyRecord, type SealRecord } from './seal.ts'
import type { Sight } from './sight.ts'
import { FACT, STRIDE } from './walk.ts'
import type { Workers } from './workers.ts'

/** Longest step of a kernel's file clock with room to spare: a change within it may leave ctime as it was. */
const TICK_MS = 20

/** The clock that files are stamped by stands still for so long at most on the usual kernels, 4 ms: a stamp may be that much behind. */
const STEP_MS = 5

/** The time of the disk itself, as it stamps files, in milliseconds since 1970: no other clock may be compared with a ctime. */
export function diskNowMs(directory: string): number {
  const path = join(directory, '.now.tmp')
  disk.unlink('stamp', path)
  const fd = disk.create('stamp', path)
  try {
    return fstatSync(fd).ctimeMs
  } finally {
    closeSync(fd)
    disk.unlink('stamp', path)
  }
}

/** An entry that was made or changed, with its row in the record. */
export interface Touched {
  readonly row: number
  readonly entry: Entry
}

export interface RecordWorld {
  readonly workers: Workers
  readonly tree: string
  readonly tmp: string
  readonly clock: Clock
}

/**
 * Takes the facts of what was made or changed into the record.
 * @throws FleetError `COLD_BUSY` when a file is no longer what was written a moment ago
 */
export async function recordTouched(
  world: RecordWorld,
  record: SealRecord,
  touched: readonly Touched[],
): Promise<void> {
  const { workers, tree } = world
  const paths = touched.map(({ entry }) => entry.path)
  await onceSettled(world, async (freshMs) => {
    const facts = await workers.call(0, 'factsOf', [tree, paths])
    for (const [at, { row, entry }] of touched.entries()) {
      if (!isAsWritten(entry, facts, at)) throw changedMeanwhile(entry.path)
      setRow(record, row, facts, at, freshMs)
    }
  })
}

/** Takes the facts of a whole tree that was just made. @throws FleetError `COLD_BUSY` also when it holds anything else */
export async function recordAll(world: RecordWorld, columns: Columns): Promise<SealRecord> {
  const { workers, tree } = world
  const record = emptyRecord(columns.count + 1)
  await onceSettled(world, async (freshMs) => {
    const next = new Int32Array(new SharedArrayBuffer(4))
    const order = { tree, columns, record, next }
    const looks = Array.from({ length: workers.count }, (_, thread) => {
      return workers.call(thread, 'recordRows', [order, freshMs])
    })
    const [wrong] = (await allEnded(looks)).flat()
    if (wrong !== undefined) throw changedMeanwhile(new Rows(columns).path(wrong))
  })
  await recordTouched(world, record, [rootRow(columns.count)])
  const rows = new Rows(columns)
  const directories: string[] = ['']
  for (let row = 0; row < columns.count; row += 1) if (columns.type[row] === CHARS.d) directories.push(rows.path(row))
  await needNoStrangers(world, directories, columns.count)
  return record
}

/**
 * Every path of a build was seen in the tree a moment ago: when its directories hold as many names, they hold nothing else. Asked after the
 * record was taken: what is put there later shows against it.
 * @throws FleetError `COLD_BUSY`
 */
async function needNoStrangers(world: RecordWorld, directories: readonly string[], names: number): Promise<void> {
  const { workers, tree } = world
  const share = Math.ceil(directories.length / workers.count)
  const counts = Array.from({ length: workers.count }, (_, thread) => {
    return workers.call(thread, 'countNames', [tree, directories.slice(thread * share, (thread + 1) * share)])
  })
  const each = await allEnded(counts)
  // Where a directory is closed to its owner nobody but root can have put anything there.
  if (each.includes(null)) return
  const found = each.reduce<number>((sum, count) => sum + (count ?? 0), 0)
  if (found === names) return
  throw new FleetError(
    'COLD_BUSY',
    `the cold tree holds ${found} paths instead of ${names}: somebody put something there while it was staged; hot still runs`,
  )
}

function changedMeanwhile(path: string): FleetError {
  return new FleetError('COLD_BUSY', `${printable(path)} was changed while the cold tree was staged; hot still runs`)
}

/**
 * Takes facts once the disk's clock has left the last change behind: only then would any later one show.
 * @param take what changed after its argument is to be distrusted
 */
async function onceSettled({ tmp, clock }: RecordWorld, take: (freshMs: number) => Promise<void>): Promise<void> {
  // A stamp that is a step behind would make the record say "look again" of what is settled, and the next staging look at everything.
  await clock.sleep(TICK_MS + 2 * STEP_MS)
  await take(diskNowMs(tmp) - TICK_MS)
}

/**
 * The record after a walk and a plan: kept paths as the walk saw them, the others as they lie now, and every directory, since what was made
 * in one changed it.
 * @param seenMs the disk's time just before the walk
 */
export async function recordOf(
  world: RecordWorld,
  plan: StagePlan,
  sight: Sight,
  entries: readonly Entry[],
  seenMs: number,
): Promise<SealRecord> {
  const { copy, fetch, mkdir, links, set, directories } = plan
  const rows = new Set([...copy.map((step) => step.entry), ...fetch, ...mkdir, ...links, ...set, ...directories])
  const record = emptyRecord(entries.length + 1)
  const touched: Touched[] = [rootRow(entries.length)]
  for (const [row, entry] of entries.entries()) {
    const index = sight.indexOf.get(entry.path)
    if (index !== undefined) setRow(record, row, sight.walk.facts, index, seenMs - TICK_MS)
    if (rows.has(row) || entry.type === 'd') touched.push({ row, entry })
  }
  await recordTouched(world, record, touched)
  const listed = touched.flatMap(({ entry }) => (entry.type === 'd' ? [entry.path] : []))
  await needNoStrangers(world, listed, entries.length)
  return record
}

/** The tree's own directory has the last row. */
export function rootRow(row: number): Touched {
  const entry = { type: 'd', mode: 0, size: 0, mtime: 0, content: '', frame: 0, offset: 0, path: '' } as const
  return { row, entry }
}

/** A path whose ctime is within a tick of the moment it was looked at is looked at again next time: a ctime of 0 says so. */
function setRow(record: SealRecord, row: number, facts: Float64Array, index: number, freshMs: number): void {
  const ctimeMs = facts[index * STRIDE + FACT.ctimeMs] ?? 0
  record.ino[row] = facts[index * STRIDE + FACT.ino] ?? 0
  record.ctimeMs[row] = ctimeMs > freshMs ? 0 : ctimeMs
}

function isAsWritten(entry: Entry, facts: Float64Array, index: number): boolean {
  const fact = (name: keyof typeof FACT) => facts[index * STRIDE + FACT[name]] ?? 0
  if (fact('ino') === 0) return false
  return entry.type !== 'f' || (fact('size') === entry.size && fact('mtimeMs') === entry.mtime * 1_000)
}

// Owns making the record of a seal: what every path of a tree looks like at the moment it is proven complete.
import { closeSync, fstatSync } from 'node:fs'
import { join } from 'node:path'
import { FleetError } from '#fleet/errors.ts'
import type { Entry } from '#fleet/manifest.ts'
import type { StagePlan } from '#fleet/stage-plan.ts'
import { printable } from './directories.ts'
import * as disk from './disk.ts'
import { emptyRecord, type SealRecord, setRow } from './seal.ts'
import type { Sight } from './sight.ts'
import { FACT, STRIDE } from './walk.ts'
import type { Workers } from './workers.ts'

/** Longest step of a kernel's file clock with room to spare: a change within it may leave ctime as it was. */
const TICK_MS = 20

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

/**
 * Collects the record after everything is in place: kept paths as the walk saw them, the others as they lie now.
 * @param seenMs the disk's time just before the walk
 * @throws FleetError `COLD_BUSY` when a file is no longer what was written a moment ago
 */
export async function recordOf(
  workers: Workers,
  tree: string,
  tmp: string,
  plan: StagePlan,
  sight: Sight,
  entries: readonly Entry[],
  seenMs: number,
): Promise<SealRecord> {
  const touched = [
    ...new Set([
      ...plan.copy.map((step) => step.entry),
      ...[plan.fetch, plan.mkdir, plan.links, plan.set, plan.directories].flat(),
    ]),
  ]
  const record = emptyRecord(entries.length)
  for (const [row, { path }] of entries.entries()) {
    const index = sight.indexOf.get(path)
    if (index === undefined) continue
    setRow(record, row, sight.walk.facts, index)
    distrustFresh(record, row, seenMs)
  }
  const nowMs = diskNowMs(tmp)
  const paths = touched.map((row) => entries[row]?.path ?? '')
  const facts = await workers.call(0, 'factsOf', [tree, paths])
  for (const [at, row] of touched.entries()) {
    const entry = entries[row]
    if (entry !== undefined && !isAsWritten(entry, facts, at)) {
      throw new FleetError(
        'COLD_BUSY',
        `${printable(entry.path)} was changed while the cold tree was staged; hot still runs`,
      )
    }
    setRow(record, row, facts, at)
    distrustFresh(record, row, nowMs)
  }
  return record
}

function isAsWritten(entry: Entry, facts: Float64Array, index: number): boolean {
  const fact = (name: keyof typeof FACT) => facts[index * STRIDE + FACT[name]] ?? 0
  if (fact('ino') === 0) return false
  return entry.type !== 'f' || (fact('size') === entry.size && fact('mtimeMs') === entry.mtime * 1_000)
}

/** A file whose ctime is within a tick of the moment it was looked at is hashed again next time: inode 0 says so. */
function distrustFresh(record: SealRecord, row: number, nowMs: number): void {
  if ((record.ctimeMs[row] ?? 0) > nowMs - TICK_MS) record.ino[row] = 0
}

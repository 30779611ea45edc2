// Owns asking before a tree is changed whether the volume has room for it.
import { statfsSync } from 'node:fs'
import { formatBytes } from '#fleet/duration.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import { CHARS, type Columns } from '#fleet/manifest-columns.ts'

/** Kept free beside what a staging needs: for the journal, the seal, and others on the volume. */
const RESERVE_BYTES = 1024 * 1024
const RESERVE_INODES = 16
const MARGIN = 1.1

/** What is needed on a volume. */
export interface Need {
  readonly bytes: number
  readonly inodes: number
}

/** @throws FleetError `DISK_FULL` · `INODES_FULL`; nothing was changed (failures C1, C3) */
export function checkRoom(volume: string, need: Need): void {
  const { bavail, bsize, files, ffree } = statfsSync(volume)
  const free = bavail * bsize
  const bytes = Math.ceil(need.bytes * MARGIN) + RESERVE_BYTES
  if (need.bytes > 0 && bytes > free) {
    throw new FleetError(
      'DISK_FULL',
      `needs ${formatBytes(bytes)}, ${formatBytes(free)} free on the volume of the trees; nothing changed, hot still runs`,
    )
  }
  // Some file systems have no fixed number of inodes and say 0.
  const inodes = Math.ceil(need.inodes * MARGIN) + RESERVE_INODES
  if (files > 0 && need.inodes > 0 && inodes > ffree) {
    throw new FleetError(
      'INODES_FULL',
      `needs ${inodes} inodes, ${ffree} free on the volume of the trees; nothing changed, hot still runs`,
    )
  }
}

/** Whether the volume has room for that. */
export function hasRoom(volume: string, need: Need): boolean {
  try {
    checkRoom(volume, need)
    return true
  } catch (error) {
    if (isFleetError(error, 'DISK_FULL', 'INODES_FULL')) return false
    throw error
  }
}

const BLOCK_BYTES = 4_096

/** What a build takes on a volume where nothing of it lies yet. */
export function roomFor({ count, size, type }: Columns): Need {
  let bytes = 0
  for (let row = 0; row < count; row += 1) {
    bytes += type[row] === CHARS.d ? BLOCK_BYTES : Math.ceil((size[row] ?? 0) / BLOCK_BYTES) * BLOCK_BYTES
  }
  return { bytes, inodes: count }
}

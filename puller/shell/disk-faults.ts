// Owns the translation of errors of the disk into ours: each says what failed, and that hot still runs.
import { statfsSync } from 'node:fs'
import { type ErrorCode, FleetError } from '#fleet/errors.ts'

/** The name of a system error, `EDQUOT` included, which Node only knows as a number (failures C5); null for anything else. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const { code, errno } = error as NodeJS.ErrnoException
  if (errno === -122) return 'EDQUOT'
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : null
}

const CODES: Readonly<Record<string, { code: ErrorCode; text: string }>> = {
  ENOSPC: { code: 'DISK_FULL', text: 'no space left on the volume of the trees' },
  EDQUOT: { code: 'DISK_QUOTA', text: 'disk quota exceeded' },
  EROFS: { code: 'DISK_READ_ONLY', text: 'read-only disk' },
  EIO: { code: 'DISK_ERROR', text: 'the disk reported an I/O error' },
  EACCES: { code: 'DISK_DENIED', text: 'permission denied' },
  EPERM: { code: 'DISK_DENIED', text: 'operation not permitted: wrong owner, or a file that is marked immutable' },
  ENOTEMPTY: { code: 'COLD_BUSY', text: 'somebody writes into the cold tree while it is cleared' },
  EEXIST: { code: 'COLD_BUSY', text: 'somebody puts things into the cold tree while it is staged' },
  EXDEV: { code: 'ROOT_UNFIT', text: 'trees and .hotcold must lie on one file system' },
}

/**
 * An error of a disk operation as one of ours; errors that are ours already, or not of the disk, come back as they are.
 * @param doing what was tried, with the path: "writing trees/b/x"
 * @param volume a directory of the volume, to tell full inodes from full blocks (failures C3)
 */
export function diskFault(error: unknown, doing: string, volume?: string): unknown {
  const errno = errnoOf(error)
  if (errno === null || error instanceof FleetError) return error
  if (errno === 'ENOSPC' && volume !== undefined && inodesAreGone(volume)) {
    return new FleetError('INODES_FULL', `${doing}: no inodes left on the volume of the trees; hot still runs`, {
      cause: error,
    })
  }
  const known = CODES[errno] ?? { code: 'DISK_ERROR', text: errno }
  return new FleetError(known.code, `${doing}: ${known.text}; hot still runs`, { cause: error })
}

function inodesAreGone(volume: string): boolean {
  try {
    const { files, ffree } = statfsSync(volume)
    return files > 0 && ffree === 0
  } catch {
    return false
  }
}

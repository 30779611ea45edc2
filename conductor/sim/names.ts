// Owns the names and numbers that every simulation begins with.
import { createHash } from 'node:crypto'
import type { BuildId, Digest, Name } from '#fleet/build.ts'

export const APP = 'web' as Name

/** Every simulation begins at the same moment. */
export const START_MS = Date.UTC(2026, 10, 22, 16)

/** Oldest first: every node runs the second when it begins, with the first in cold. */
export const BUILDS = ['a-build', 'b-build', 'c-build', 'd-build'] as readonly string[] as readonly BuildId[]

export function digestFor(build: BuildId): Digest {
  return `sha256:${createHash('sha256').update(build).digest('hex')}` as Digest
}

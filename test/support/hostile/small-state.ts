// Owns reading a puller's journal and ratchet as its start does: what is damaged is told with a code, and nothing is guessed.
import assert from 'node:assert/strict'
import type { Name } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import { remember } from '#puller/shell/node.ts'
import type { Trees } from '#puller/shell/trees.ts'

const READER = { app: 'web' as Name, ring: 'production' as Name, node: 'node-1' as Name }
const quiet = () => undefined
export const QUIET = { debug: quiet, info: quiet, warn: quiet, error: quiet }

/** Remembers, or learns that a newer puller wrote it. @throws anything else */
export async function rememberOrRefuse(trees: Trees): Promise<void> {
  try {
    const { accepted } = await remember(trees, READER, QUIET)
    assert.ok(Number.isSafeInteger(accepted.ratchet.generation))
  } catch (error) {
    if (!isFleetError(error, 'JOURNAL_TOO_NEW')) throw error
  }
}

// Owns the seal of a tree: the proof beside it that it is complete and durable, and the record that tells cheaply what changed since.
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { type BuildId, type Digest, isBuildId, isDigest } from '#fleet/build.ts'
import type { TreeName } from '../core/trees.ts'
import * as disk from './disk.ts'
import { readIfThere, replaceSoftly, writeDurably } from './durable.ts'
import type { Layout } from './layout.ts'

/** What a seal says. */
export interface Seal {
  readonly app: string
  readonly build: BuildId
  readonly manifest: Digest
  readonly at: string
  /** SHA-256 of the record's bytes; null when there is none, or only one of an older puller. */
  readonly record: string | null
}

/**
 * What every path of a tree looked like when it was proven complete: one row for each entry, in the manifest's order, and a last one for the
 * tree's own directory. Size, mode and mtime are the manifest's. A ctime of 0 says "look at it again": it was too fresh to tell a later change by. On shared memory.
 */
export interface SealRecord {
  readonly ino: Float64Array<SharedArrayBuffer>
  readonly ctimeMs: Float64Array<SharedArrayBuffer>
}

export function emptyRecord(rows: number): SealRecord {
  const shared = new SharedArrayBuffer(rows * 16)
  return { ino: new Float64Array(shared, 0, rows), ctimeMs: new Float64Array(shared, rows * 8, rows) }
}

function sealPath(root: string, tree: TreeName): string {
  return join(root, 'trees', `${tree}.seal`)
}

function recordPath(layout: Layout, tree: TreeName): string {
  return join(layout.state, `${tree}.record`)
}

/** The seal of a tree; null when there is none, or none that can be believed: such a tree is as good as unsealed. */
export function readSeal(root: string, tree: TreeName, app: string): Seal | null {
  const bytes = readIfThere(sealPath(root, tree))
  if (bytes === null) return null
  try {
    const { v, build, manifest, at, record, ...rest } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
    if (v !== 1 || rest.app !== app || typeof build !== 'string' || !isBuildId(build)) return null
    if (typeof manifest !== 'string' || !isDigest(manifest) || typeof at !== 'string') return null
    return { app, build, manifest, at, record: typeof record === 'string' ? record : null }
  } catch {
    return null
  }
}

/** The record that a seal names; null when it is not there or not that one: then every file is hashed again. */
export function readRecord(layout: Layout, tree: TreeName, seal: Seal): SealRecord | null {
  if (seal.record === null) return null
  const bytes = readIfThere(recordPath(layout, tree))
  if (bytes === null || bytes.byteLength % 16 !== 0 || hash('sha256', bytes) !== seal.record) return null
  const record = emptyRecord(bytes.byteLength / 16)
  new Uint8Array(record.ino.buffer).set(bytes)
  return record
}

/**
 * Writes a seal durably: once it returns, the tree counts as complete. The tree's own bytes must be durable before. The record need not be:
 * it is believed by its digest alone, and a lost one only costs time.
 */
export function writeSeal(layout: Layout, tree: TreeName, seal: Omit<Seal, 'record'>, record: SealRecord): void {
  const bytes = new Uint8Array(record.ino.buffer)
  replaceSoftly('record', recordPath(layout, tree), bytes)
  const { app, build, manifest, at } = seal
  const text = JSON.stringify({ v: 1, app, build, manifest, at, record: hash('sha256', bytes) })
  writeDurably('seal', sealPath(layout.root, tree), Buffer.from(`${text}\n`))
}

/** Takes a tree's seal away, durably: from here on its content counts for nothing until it is sealed again. */
export function unseal(root: string, tree: TreeName): void {
  if (disk.unlink('unseal', sealPath(root, tree))) disk.syncDirectory('unseal.sync', join(root, 'trees'))
}

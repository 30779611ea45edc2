// Owns the seal of a tree: the proof beside it that it is complete and durable, and the record that tells cheaply what changed since.
import { join } from 'node:path'
import { type BuildId, type Digest, isBuildId, isDigest } from '#fleet/build.ts'
import type { TreeName } from '../core/trees.ts'
import * as disk from './disk.ts'
import { readIfThere, writeDurably } from './durable.ts'
import { FACT, STRIDE } from './walk.ts'

/** What a seal says. The record has one row per manifest entry, in the manifest's order. */
export interface Seal {
  readonly app: string
  readonly build: BuildId
  readonly manifest: Digest
  readonly at: string
  readonly record: SealRecord
}

/** Columns over the manifest's entries. An inode of 0 says "hash this file again next time": its time was too fresh to tell a later change by. */
export interface SealRecord {
  readonly ino: Float64Array
  readonly size: Float64Array
  readonly mtimeMs: Float64Array
  readonly ctimeMs: Float64Array
  readonly mode: Float64Array
}

const COLUMNS = ['ino', 'size', 'mtimeMs', 'ctimeMs', 'mode'] as const

export function emptyRecord(entries: number): SealRecord {
  const column = () => new Float64Array(entries)
  return { ino: column(), size: column(), mtimeMs: column(), ctimeMs: column(), mode: column() }
}

/** Copies one path's facts (see walk.ts) into a row. */
export function setRow(record: SealRecord, row: number, facts: Float64Array, index: number): void {
  for (const column of COLUMNS) record[column][row] = facts[index * STRIDE + FACT[column]] ?? 0
}

/** Whether a file's content is what it was at the seal: same inode, size and times. Mode is compared by itself. */
export function unchangedSince(record: SealRecord, row: number, facts: Float64Array, index: number): boolean {
  const same = (column: 'ino' | 'size' | 'mtimeMs' | 'ctimeMs') =>
    record[column][row] === facts[index * STRIDE + FACT[column]]
  return record.ino[row] !== 0 && same('ino') && same('size') && same('mtimeMs') && same('ctimeMs')
}

function sealPath(root: string, tree: TreeName): string {
  return join(root, 'trees', `${tree}.seal`)
}

/** The seal of a tree; null when there is none, or none that can be believed: such a tree is as good as unsealed. */
export function readSeal(root: string, tree: TreeName, app: string): Seal | null {
  const bytes = readIfThere(sealPath(root, tree))
  if (bytes === null) return null
  try {
    const raw = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
    const { v, build, manifest, at, entries, record } = raw
    if (v !== 1 || raw.app !== app || typeof build !== 'string' || !isBuildId(build)) return null
    if (typeof manifest !== 'string' || !isDigest(manifest) || typeof at !== 'string') return null
    if (typeof entries !== 'number' || typeof record !== 'object' || record === null) return null
    return { app, build, manifest, at, record: decodeRecord(record as Record<string, unknown>, entries) }
  } catch {
    return null
  }
}

function decodeRecord(raw: Record<string, unknown>, entries: number): SealRecord {
  const record: SealRecord = emptyRecord(entries)
  for (const column of COLUMNS) {
    const bytes = Buffer.from(String(raw[column]), 'base64')
    if (bytes.byteLength !== entries * 8) throw new RangeError(`column ${column} has the wrong length`)
    for (let row = 0; row < entries; row += 1) record[column][row] = bytes.readDoubleLE(row * 8)
  }
  return record
}

/** Writes a seal durably: once it returns, the tree counts as complete. The tree's own bytes must be durable before. */
export function writeSeal(root: string, tree: TreeName, seal: Seal): void {
  const record = Object.fromEntries(
    COLUMNS.map((column) => {
      const values = seal.record[column]
      return [column, Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')]
    }),
  )
  const { app, build, manifest, at } = seal
  const text = JSON.stringify({ v: 1, app, build, manifest, at, entries: seal.record.ino.length, record })
  writeDurably('seal', sealPath(root, tree), Buffer.from(`${text}\n`))
}

/** Takes a tree's seal away, durably: from here on its content counts for nothing until it is sealed again. */
export function unseal(root: string, tree: TreeName): void {
  if (disk.unlink('unseal', sealPath(root, tree))) disk.syncDirectory('unseal.sync', join(root, 'trees'))
}

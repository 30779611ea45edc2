// Owns the marks of the trees: which one was retired when, which one is armed, and whether the last stop was clean.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, isDigest } from '#fleet/build.ts'
import type { Clock } from '#fleet/ports.ts'
import type { SealedTree, TreeName } from '../core/trees.ts'
import * as disk from './disk.ts'
import { type Cabinet, readIfThere, writeDurably } from './durable.ts'

interface Mark {
  readonly tree: TreeName
  readonly manifest: Digest
}

interface MarksFile {
  /** The tree that the last swap took out of service, and when (wall clock, milliseconds since 1970). */
  readonly retired: (Mark & { readonly atMs: number }) | null
  readonly armed: Mark | null
}

const FILE = 'marks.json'
const CLEAN = 'clean'
const NONE: MarksFile = { retired: null, armed: null }

/** A mark counts only for the tree and the manifest that it names: whatever happens in between, an old one is harmless. */
export class Marks {
  readonly #cabinet: Cabinet
  readonly #clock: Clock
  readonly #openedMs: number
  #file: MarksFile
  #retiredMs: number | null = null

  constructor(cabinet: Cabinet, clock: Clock) {
    this.#cabinet = cabinet
    this.#clock = clock
    this.#openedMs = clock.monotonic()
    this.#file = readMarks(cabinet.load(FILE))
  }

  isArmed(sealed: SealedTree | null): boolean {
    return sealed !== null && matches(this.#file.armed, sealed)
  }

  /** Whether the tree was hot before it became what it is: its content was in service once. */
  wasHot(sealed: SealedTree): boolean {
    return matches(this.#file.retired, sealed)
  }

  arm(sealed: SealedTree): void {
    this.#save({ ...this.#file, armed: { tree: sealed.tree, manifest: sealed.manifest } })
  }

  disarm(): void {
    if (this.#file.armed !== null) this.#save({ ...this.#file, armed: null })
  }

  /** Says that a swap is about to take this tree out of service; no tree is armed then. Null: there was no hot tree. */
  retire(sealed: Mark | null): void {
    this.#retiredMs = this.#clock.monotonic()
    const retired = sealed && { tree: sealed.tree, manifest: sealed.manifest, atMs: this.#clock.now() }
    this.#save({ retired, armed: null })
  }

  /** How long ago this tree was retired, in milliseconds; as long as this puller runs when nothing is known of it. */
  retiredForMs(tree: TreeName): number {
    const { retired } = this.#file
    const running = this.#clock.monotonic() - (this.#retiredMs ?? this.#openedMs)
    if (retired?.tree !== tree) return this.#clock.monotonic() - this.#openedMs
    // The wall clock may have been set since: what we have seen pass ourselves counts in any case.
    return this.#retiredMs === null ? Math.max(running, this.#clock.now() - retired.atMs) : running
  }

  isRetired(tree: TreeName): boolean {
    return this.#file.retired?.tree === tree
  }

  #save(file: MarksFile): void {
    this.#cabinet.save(FILE, Buffer.from(`${JSON.stringify({ v: 1, ...file })}\n`))
    this.#file = file
  }
}

function matches(mark: Mark | null, sealed: SealedTree): boolean {
  return mark !== null && mark.tree === sealed.tree && mark.manifest === sealed.manifest
}

/** Unreadable marks are no marks: nothing is armed, and a sweep tells the truth again. */
function readMarks(bytes: Buffer | null): MarksFile {
  try {
    const raw = JSON.parse(bytes?.toString('utf8') ?? 'null') as Record<string, unknown> | null
    if (raw === null || raw.v !== 1) return NONE
    const retired = readMark(raw.retired)
    const atMs = (raw.retired as { atMs?: unknown } | null)?.atMs
    return {
      retired: retired && { ...retired, atMs: typeof atMs === 'number' ? atMs : 0 },
      armed: readMark(raw.armed),
    }
  } catch {
    return NONE
  }
}

function readMark(raw: unknown): Mark | null {
  if (typeof raw !== 'object' || raw === null || !('tree' in raw) || !('manifest' in raw)) return null
  const { tree, manifest } = raw
  if (tree !== 'a' && tree !== 'b') return null
  return typeof manifest === 'string' && isDigest(manifest) ? { tree, manifest } : null
}

/** Identity of this boot of the machine: after a power cut or a reset it is another. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return 'unknown'
  }
}

/** Reads and takes away the clean mark: whoever dies from here on leaves none. @returns whether it was there and of this boot */
export function takeCleanMark(directory: string): boolean {
  const path = join(directory, CLEAN)
  const mark = readIfThere(path)?.toString('utf8').trim()
  if (disk.unlink('clean.take', path)) disk.syncDirectory('clean.sync', directory)
  return mark === bootId()
}

export function leaveCleanMark(directory: string): void {
  writeDurably('clean', join(directory, CLEAN), Buffer.from(`${bootId()}\n`))
}

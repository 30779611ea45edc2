// Owns the proof of a history: that its entries stand as they were written, none missing, none changed, none beside the chain.
import type { HistoryEntry } from '#fleet/ports.ts'

/** What is wrong with an entry of the chain, by its number. */
export interface Difference {
  /** Null: a key that is no entry's. */
  readonly seq: number | null
  readonly kind: 'gap' | 'changed' | 'wrong-number' | 'unreadable' | 'stray' | 'not-the-anchor'
  readonly message: string
}

/** A key of the history as whoever reads it found it. */
export interface Link {
  readonly name: string
  /** The number in its name; null for a name that is no entry's. */
  readonly seq: number | null
  /** SHA-256 of its bytes, in hexadecimal. */
  readonly digest: string
  /** Null when the bytes are no entry. */
  readonly entry: Pick<HistoryEntry, 'seq' | 'prev'> | null
}

/** An entry that somebody noted down before, as `audit verify` prints it: `120:9f86d0…`. */
export interface Anchor {
  readonly seq: number
  readonly digest: string
}

export interface Audit {
  readonly entries: number
  /** The newest entry: what its own bytes hold is vouched for by the entry after it, and until then by whoever notes this down. */
  readonly head: Anchor | null
  readonly differences: readonly Difference[]
}

export const UNAUDITED: Audit = { entries: 0, head: null, differences: [] }

/** The audit with one key more; keys come in the order of their names. */
export function auditLink(audit: Audit, link: Link, anchor: Anchor | null = null): Audit {
  const { name, seq, digest, entry } = link
  if (seq === null || seq === 0) {
    const message = `the key ${JSON.stringify(name)} is no entry of the history`
    return { ...audit, differences: [...audit.differences, { seq: null, kind: 'stray', message }] }
  }
  const found: Difference[] = []
  const add = (at: number, kind: Difference['kind'], message: string) => void found.push({ seq: at, kind, message })
  const before = audit.head?.seq ?? 0
  if (seq > before + 1) {
    const gone = before + 2 === seq ? `entry ${seq - 1} is missing` : `entries ${before + 1} to ${seq - 1} are missing`
    add(before + 1, 'gap', gone)
  }
  if (entry === null) add(seq, 'unreadable', `entry ${seq} cannot be read`)
  else {
    if (entry.seq !== seq) add(seq, 'wrong-number', `entry ${seq} says that it is entry ${entry.seq}`)
    // Across a gap there is nothing to compare with: the gap is the difference.
    const expected = seq === before + 1 ? (audit.head?.digest ?? '') : null
    if (expected !== null && entry.prev !== expected) {
      // Or it is this entry whose `prev` was changed: then the one after it says so, and both are named.
      const changed = `entry ${seq - 1} is not the one that entry ${seq} was written after`
      if (seq === 1) add(1, 'changed', 'entry 1 says that another came before it')
      else add(seq - 1, 'changed', changed)
    }
  }
  if (anchor?.seq === seq && anchor.digest !== digest) {
    add(seq, 'not-the-anchor', `entry ${seq} has digest ${digest}, noted down was ${anchor.digest}`)
  }
  return { entries: audit.entries + 1, head: { seq, digest }, differences: [...audit.differences, ...found] }
}

/** The audit when all keys were seen: an anchor beyond the newest entry proves that the end was cut off. */
export function endAudit(audit: Audit, anchor: Anchor | null): Audit {
  const newest = audit.head?.seq ?? 0
  if (anchor === null || anchor.seq <= newest) return audit
  const message = `entry ${anchor.seq} was noted down, and the history ends with entry ${newest}`
  return { ...audit, differences: [...audit.differences, { seq: anchor.seq, kind: 'gap', message }] }
}

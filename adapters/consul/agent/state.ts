// Owns the embedded agent's state: entries, sessions, lock-delays and indexes; changes are drafted and committed whole or not at all.
import type { Entry, Session } from './records.ts'

/** What one commit touched. */
export interface Change {
  readonly keys: readonly string[]
  readonly sessions: readonly string[]
}

/** Lock-delays are never longer than this, whatever a session asks for. */
const MAX_LOCK_DELAY_MS = 60_000

/** The committed state. `onChange` hears of every commit that changed something. */
export class State {
  readonly entries = new Map<string, Entry>()
  readonly sessions = new Map<string, Session>()
  /** Index of the last commit. Never 1 for a write: that is what a reader of an empty store waits on. */
  index = 1
  /** Index of the last change of any key, deletions too. */
  keysIndex = 0
  sessionsIndex = 0
  /** Key → index of its deletion, so that a list's index never falls when keys leave it. */
  readonly tombstones = new Map<string, number>()
  readonly #lockDelays = new Map<string, number>()
  readonly #onChange: (change: Change) => void

  constructor(onChange: (change: Change) => void) {
    this.#onChange = onChange
  }

  draft(): Draft {
    return new Draft(this)
  }

  commit(draft: Draft): void {
    if (draft.entries.size + draft.sessions.size === 0) return
    this.index = draft.index
    for (const [key, entry] of draft.entries) {
      if (entry === null) {
        this.entries.delete(key)
        this.tombstones.set(key, draft.index)
      } else {
        this.entries.set(key, entry)
        this.tombstones.delete(key)
      }
    }
    for (const [id, session] of draft.sessions) {
      if (session === null) this.sessions.delete(id)
      else this.sessions.set(id, session)
    }
    if (draft.entries.size > 0) this.keysIndex = draft.index
    if (draft.sessions.size > 0) this.sessionsIndex = draft.index
    this.#onChange({ keys: [...draft.entries.keys()], sessions: [...draft.sessions.keys()] })
  }

  /** @param nowMs monotonic */
  delayLock(key: string, delayMs: number, nowMs: number): void {
    if (delayMs > 0) this.#lockDelays.set(key, nowMs + Math.min(delayMs, MAX_LOCK_DELAY_MS))
  }

  /** Whether nobody may lock this key yet, because the session that held it ended. @param nowMs monotonic */
  lockIsDelayed(key: string, nowMs: number): boolean {
    const until = this.#lockDelays.get(key)
    if (until === undefined) return false
    if (nowMs < until) return true
    this.#lockDelays.delete(key)
    return false
  }
}

/** Changes over a state that nobody sees until they are committed. */
export class Draft {
  readonly index: number
  readonly entries = new Map<string, Entry | null>()
  readonly sessions = new Map<string, Session | null>()
  readonly #state: State

  constructor(state: State) {
    this.#state = state
    this.index = state.index + 1
  }

  entry(key: string): Entry | null {
    const drafted = this.entries.get(key)
    return drafted === undefined ? (this.#state.entries.get(key) ?? null) : drafted
  }

  session(id: string): Session | null {
    const drafted = this.sessions.get(id)
    return drafted === undefined ? (this.#state.sessions.get(id) ?? null) : drafted
  }

  /** Every entry that `select` picks, by key. */
  select(select: (entry: Entry) => boolean): readonly Entry[] {
    const keys = new Set([...this.#state.entries.keys(), ...this.entries.keys()])
    const found: Entry[] = []
    for (const key of keys) {
      const entry = this.entry(key)
      if (entry !== null && select(entry)) found.push(entry)
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** Writes an entry unless nothing of it changes: a rewrite of the same value keeps its index and wakes nobody. */
  put(entry: Omit<Entry, 'createIndex' | 'modifyIndex'>): Entry {
    const old = this.entry(entry.key)
    if (old !== null && sameEntry(old, entry)) return old
    const written = { ...entry, createIndex: old?.createIndex ?? this.index, modifyIndex: this.index }
    this.entries.set(entry.key, written)
    return written
  }

  remove(key: string): void {
    if (this.entry(key) !== null) this.entries.set(key, null)
  }
}

function sameEntry(old: Entry, entry: Omit<Entry, 'createIndex' | 'modifyIndex'>): boolean {
  return (
    old.flags === entry.flags &&
    old.lockIndex === entry.lockIndex &&
    old.session === entry.session &&
    old.value.equals(entry.value)
  )
}

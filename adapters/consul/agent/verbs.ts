// Owns what each verb does to a draft: plain writes, compare-and-set, locks, deletions, and the end of a session.
import type { Entry } from './records.ts'
import type { Draft } from './state.ts'

/** A verb that cannot be tried at all; the message is Consul's own. */
export class VerbError extends Error {
  override readonly name = 'VerbError'
}

export interface Write {
  readonly key: string
  readonly value: Buffer
  readonly flags: bigint
}

/** A plain write. It keeps a lock's holder and forgets how often the key was locked: locks are advisory. */
export function set(draft: Draft, write: Write): Entry {
  return draft.put({ ...write, lockIndex: 0, session: draft.entry(write.key)?.session ?? null })
}

/** Writes only over `index`; 0 only where there is nothing. Null: someone else was first. */
export function compareAndSet(draft: Draft, write: Write, index: number): Entry | null {
  const old = draft.entry(write.key)
  return (old?.modifyIndex ?? 0) === index ? set(draft, write) : null
}

/** Every id is looked up before it is used. @throws VerbError with the words of Consul's own index */
export function checkSessionId(id: string): void {
  if (id.length !== 36) throw new VerbError('failed session lookup: index error: UUID must be 36 characters')
}

/** Takes the lock and writes; its holder may write again. Null: another session holds it. @throws VerbError */
export function lock(draft: Draft, write: Write, session: string): Entry | null {
  if (session === '') throw new VerbError('missing session')
  checkSessionId(session)
  if (draft.session(session) === null) throw new VerbError(`invalid session "${session}"`)
  const old = draft.entry(write.key)
  if (old !== null && old.session !== null && old.session !== session) return null
  const lockIndex = old === null ? 1 : old.session === session ? old.lockIndex : old.lockIndex + 1
  return draft.put({ ...write, lockIndex, session })
}

/** Lets the lock go and writes. Null: this session does not hold it. @throws VerbError */
export function unlock(draft: Draft, write: Write, session: string): Entry | null {
  if (session === '') throw new VerbError('missing session')
  const old = draft.entry(write.key)
  if (old === null || old.session !== session) return null
  return draft.put({ ...write, lockIndex: old.lockIndex, session: null })
}

/** Deletes only at `index`; gone already counts as done. */
export function compareAndDelete(draft: Draft, key: string, index: number): boolean {
  const old = draft.entry(key)
  if (old === null) return true
  if (old.modifyIndex !== index) return false
  draft.remove(key)
  return true
}

export function deleteTree(draft: Draft, prefix: string): void {
  for (const entry of draft.select((one) => one.key.startsWith(prefix))) draft.remove(entry.key)
}

/** Ends a session: its keys are released or deleted, as it asked. Returns the keys that it held. */
export function endSession(draft: Draft, id: string): readonly string[] {
  const session = draft.session(id)
  if (session === null) return []
  const held = draft.select((entry) => entry.session === id)
  for (const entry of held) {
    if (session.behavior === 'delete') draft.remove(entry.key)
    else draft.put({ ...entry, session: null })
  }
  draft.sessions.set(id, null)
  return held.map((entry) => entry.key)
}

// Owns whom a person's command acts as: the superuser must leave nothing in a root that the puller, which runs as another user, cannot read.
import { lstatSync } from 'node:fs'
import type { Owner } from './disk.ts'

/** The part of `process` that is used: tests hand in their own. */
export interface Credentials {
  geteuid?(): number
  setgroups?(groups: readonly number[]): void
  setgid?(id: number): void
  setuid?(id: number): void
}

/** @returns null when there is no such root */
export function ownerOfRoot(root: string): Owner | null {
  const stat = lstatSync(root, { throwIfNoEntry: false })
  return stat === undefined ? null : { uid: stat.uid, gid: stat.gid }
}

/**
 * Becomes `owner` for good when the superuser calls and the root is somebody else's. Given up before the root is touched, not repaired
 * afterwards: to change owners in a folder that another user may write is a way to be tricked. Hooks of a rollback by hand run as those of
 * the puller do.
 */
export function becomeOwner(owner: Owner | null, of: Credentials = process): void {
  if (of.geteuid?.() !== 0 || owner === null || owner.uid === 0) return
  of.setgroups?.([owner.gid])
  of.setgid?.(owner.gid)
  of.setuid?.(owner.uid)
}

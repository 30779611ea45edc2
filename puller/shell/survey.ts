// Owns reading off the disk where the trees stand: the hot link, the seals and the marks.
import { lstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Trouble } from '#fleet/node-status.ts'
import { otherTree, type SealedTree, type Survey, type TreeName } from '../core/trees.ts'
import { type Ground, sealOf } from './ground.ts'
import { readLink } from './layout.ts'

/** @param doubted trees whose bytes must all be read again before they are trusted */
export function surveyOf(ground: Ground, doubted: ReadonlySet<TreeName>): Survey {
  const link = readLink(ground.layout, ground.layout.hot)
  const hotTree = link === 'elsewhere' ? null : link
  const sealed = { a: sealedIn(ground, 'a'), b: sealedIn(ground, 'b') }
  const hot = hotTree && sealed[hotTree]
  const coldTree = hotTree === null ? coldWithoutHot(ground, sealed) : otherTree(hotTree)
  const cold = sealed[coldTree]
  const armed = ground.marks.isArmed(cold) && !doubted.has(coldTree)
  const unclean = hotTree !== null && doubted.has(hotTree)
  return { hot, hotFault: faultOf(link, hot), hotTree, cold, coldTree, armed, unclean, sealed }
}

/** What the seal of each tree said when it was last read, and the stat that tells whether it is still that file. */
const read = new WeakMap<
  Ground,
  Partial<Record<TreeName, { readonly print: string; readonly sealed: SealedTree | null }>>
>()

/** A seal that is younger than this is read again: within a tick of its time a later one could look the same. */
const SETTLED_MS = 1_000

/** What a tree is sealed as, or null. A seal of 60,000 files takes 30 ms to read, and a swap asks three times. */
export function sealedIn(ground: Ground, tree: TreeName): SealedTree | null {
  // A seal beside nothing proves nothing.
  if (!lstatSync(ground.layout.tree[tree], { throwIfNoEntry: false })?.isDirectory()) return null
  const known = read.get(ground) ?? {}
  const stat = statSync(join(ground.layout.trees, `${tree}.seal`), { throwIfNoEntry: false, bigint: true })
  const print = stat && `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`
  const last = known[tree]
  if (last !== undefined && last.print === print) return last.sealed
  const seal = sealOf(ground, tree)
  const sealed = seal && { tree, build: seal.build, manifest: seal.manifest }
  const settled = stat !== undefined && ground.clock.now() - Number(stat.ctimeMs) > SETTLED_MS
  // Taken before the seal was read: a file that came in between is another by its stat.
  read.set(ground, { ...known, [tree]: settled ? { print, sealed } : undefined })
  return sealed
}

/** Before the first swap, or with the link lost: a tree that is sealed is kept for cold, so that staging it again finds it. */
function coldWithoutHot(ground: Ground, sealed: Readonly<Record<TreeName, SealedTree | null>>): TreeName {
  if (ground.marks.isArmed(sealed.b)) return 'b'
  return sealed.a === null && sealed.b !== null ? 'b' : 'a'
}

function faultOf(link: TreeName | 'elsewhere' | null, hot: SealedTree | null): Trouble | null {
  if (link === null || hot !== null) return null
  const message =
    link === 'elsewhere'
      ? 'hot leads to neither of the two trees'
      : `hot leads to trees/${link}, which has no valid seal`
  return { code: 'HOT_BROKEN', message }
}

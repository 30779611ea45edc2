// Owns reading off the disk where the trees stand: the hot link, the seals and the marks.
import { lstatSync } from 'node:fs'
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

/** What a tree is sealed as, or null. */
export function sealedIn(ground: Ground, tree: TreeName): SealedTree | null {
  // A seal beside nothing proves nothing.
  if (!lstatSync(ground.layout.tree[tree], { throwIfNoEntry: false })?.isDirectory()) return null
  const seal = sealOf(ground, tree)
  return seal && { tree, build: seal.build, manifest: seal.manifest }
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

// Owns the difference between the two trees of this node, kept from the delta that made the younger: the next staging begins from it.
import { hash } from 'node:crypto'
import { join } from 'node:path'
import type { Digest } from '#fleet/build.ts'
import type { Columns } from '#fleet/manifest-columns.ts'
import { decodeDiff, encodeDiff, inverse, type TreeDiff } from '#fleet/tree-diff.ts'
import { type ColumnsWorld, type HotBuild, readHot } from './columns-of.ts'
import { readIfPossible, replaceIfPossible } from './durable.ts'
import type { Layout } from './layout.ts'
import type { Seal } from './seal.ts'

function diffPath(layout: Layout): string {
  return join(layout.state, 'diff')
}

/** Keeps a difference for the next time, beside its digest: what is lost, or finds no room, is worked out again. */
export function keepDiff(layout: Layout, diff: TreeDiff): void {
  const text = encodeDiff(diff)
  replaceIfPossible('diff', diffPath(layout), Buffer.from(`${hash('sha256', text)}\n${text}`))
}

/** The difference that was kept, in the direction asked for; null when it is of other builds, or damaged. */
export function keptDiff(layout: Layout, from: Digest, to: Digest): TreeDiff | null {
  const text = readIfPossible(diffPath(layout))?.toString('utf8') ?? ''
  const cut = text.indexOf('\n')
  const body = text.slice(cut + 1)
  if (cut < 0 || hash('sha256', body) !== text.slice(0, cut)) return null
  const diff = decodeDiff(body)
  if (diff?.from === from && diff.to === to) return diff
  return diff?.from === to && diff.to === from ? inverse(diff) : null
}

/** Works out what the two trees differ in, where that is not known: the next staging begins from it, and now there is time. */
export async function ensureDiff(
  layout: Layout,
  world: ColumnsWorld,
  cold: { readonly seal: Seal; readonly columns: Columns },
  hot: HotBuild,
): Promise<void> {
  if (keptDiff(layout, cold.seal.manifest, hot.seal.manifest) !== null) return
  const read = await readHot(world, hot)
  if (read === null) return
  const from = { digest: cold.seal.manifest, columns: cold.columns }
  const to = { digest: hot.seal.manifest, columns: read.columns }
  keepDiff(layout, await world.workers.call(1, 'diffOfColumns', [from, to]))
}

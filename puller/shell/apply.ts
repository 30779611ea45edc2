// Owns carrying out a staging plan: files aside, the seal taken away, the tree changed in the plan's order. Nothing is sealed here.
import { join } from 'node:path'
import type { Entry } from '#fleet/manifest.ts'
import { peakOf, type StagePlan, type TreeView } from '#fleet/stage-plan.ts'
import type { TreeName } from '../core/trees.ts'
import { allEnded } from './all-ended.ts'
import { type Bringing, copyFiles, fileOrder } from './bring.ts'
import * as disk from './disk.ts'
import type { Ground } from './ground.ts'
import { checkRoom } from './preflight.ts'
import { unseal } from './seal.ts'
import type { Supply } from './supply.ts'

/** A plan and what it is carried out with. Indexes of the plan are those of `bringing.manifest.entries`. */
export interface Application {
  readonly plan: StagePlan
  readonly view: TreeView
  readonly bringing: Bringing
  readonly supply: Supply
  readonly cold: TreeName
  /** Proves that nobody uses cold, before it is written; whoever proved it a few seconds ago need not do so again. */
  readonly needIdle: () => Promise<void>
  /** Everything is brought in beside the tree first, so that its seal is not given up for bytes that never come. */
  readonly aside: boolean
  /** Waits for this node's moment to ask the store. */
  readonly spread: () => Promise<void>
  /** The seal is about to be taken away. */
  readonly onUnseal: () => void
}

/**
 * After it the tree holds what the plan says, but nothing of that is durable yet.
 * @throws FleetError `COLD_*` · `DISK_*` · `INODES_FULL` · `STORE_*` · `DIGEST_MISMATCH`
 */
export async function apply(ground: Ground, it: Application): Promise<'delta' | 'ranges' | 'whole'> {
  const { layout, owner } = ground
  const { plan, bringing, supply, cold, aside } = it
  const { workers, signal } = bringing
  const { entries } = bringing.manifest
  checkRoom(layout.trees, peakOf(plan, entries, it.view, aside))
  const attempt = disk.mkdtemp('stage.attempt', join(layout.tmp, 'at-'))
  const shape = { tree: layout.tree[cold], attempt, owner }
  await workers.all('openWriter', [shape])
  if (plan.fetchedBytes > 0) {
    await it.spread()
    await supply.prove(bringing)
  }
  const near = plan.copy.filter((step) => step.from.tree === 'cold')
  const far = plan.copy.filter((step) => step.from.tree === 'hot')
  // What is copied within cold must be read before anything is removed.
  const lost = new Set(await copyFiles(bringing, shape.tree, near, false))
  const bring = async () => {
    const failed = new AbortController()
    const brought = supply.bring(bringing, [...plan.fetch, ...lost], !aside)
    brought.catch((error: unknown) => failed.abort(error))
    const copying = { ...bringing, signal: AbortSignal.any([signal, failed.signal]) }
    // Nothing may be written behind the back of whoever hears of a failure.
    const [how, wrong] = await allEnded([brought, copyFiles(copying, bringing.trees.hot, far, !aside)])
    return wrong.length === 0 ? how : await supply.bring(bringing, wrong, !aside)
  }
  let how = aside ? await bring() : null

  await it.needIdle()
  signal.throwIfAborted()
  it.onUnseal()
  unseal(layout.root, cold)
  const at = (index: number): readonly Entry[] => (entries[index] === undefined ? [] : [entries[index]])
  await workers.call(0, 'prepare', [shape, { ...plan, mkdir: plan.mkdir.flatMap(at) }])
  await workers.all('forget', [])
  const ready = aside
    ? [...plan.copy.map((step) => step.entry), ...plan.fetch]
    : near.map((step) => step.entry).filter((entry) => !lost.has(entry))
  await place(bringing, ready)
  how ??= await bring()
  const links = plan.links.flatMap((index) => at(index).map((entry) => ({ index, entry })))
  await workers.call(0, 'finish', [
    shape,
    { links, set: plan.set.flatMap(at), directories: plan.directories.flatMap(at) },
  ])
  signal.throwIfAborted()
  return how
}

/** Renames files that lie ready beside the tree to their places in it. */
async function place(bringing: Bringing, entries: readonly number[]): Promise<void> {
  const { workers } = bringing
  const orders = entries.map((index) => fileOrder(bringing, index))
  const share = Math.ceil(orders.length / workers.count)
  await allEnded(
    Array.from({ length: workers.count }, (_, thread) =>
      workers.call(thread, 'place', [orders.slice(thread * share, (thread + 1) * share)]),
    ),
  )
}

// Owns `conduct prune`: builds that nobody runs, holds or could go back to leave the store and the catalog.
import { type PrunePlan, type PruneWish, planPrune, pruneDoubt } from '#conductor/core/prune.ts'
import { execute } from '#conductor/shell/execute.ts'
import { observe, ringOf } from '#conductor/shell/observe.ts'
import { everyRing } from '#conductor/shell/orphans.ts'
import { pruneBuild, pruneDeltas } from '#conductor/shell/prune.ts'
import { formatBytes } from '#fleet/duration.ts'
import { FleetError } from '#fleet/errors.ts'
import type { CatalogEntry, Lease } from '#fleet/ports.ts'
import { borrowLease, leaseNote } from './lease.ts'
import { plain } from './reporter.ts'
import { ageOf, counted } from './words.ts'
import type { Bench } from './world.ts'

export interface PruneOptions extends PruneWish {
  readonly reason: string
  readonly dryRun: boolean
}

/** Builds told of in one entry of the history, and removed after it. */
const BATCH = 40

export async function prune(bench: Bench, options: PruneOptions): Promise<number> {
  const { app, ports, report, signal } = bench
  if (options.dryRun) {
    const plan = await decide(bench, options)
    if (report.json) report.document({ app, dryRun: true, ...documentOf(plan) })
    else for (const line of planLines(bench, plan, 'Would remove')) report.result(line)
    return 0
  }
  const store = await ports.store()
  // Under the lease no rollout begins: what is decided stays true until it is done.
  await using lease = await borrowLease(bench, leaseNote(bench, 'prune', null))
  const plan = await decide(bench, options)
  let objects = 0
  for (let at = 0; at < plan.remove.length; at += BATCH) {
    const batch = plan.remove.slice(at, at + BATCH)
    await tell(bench, lease, batch, options.reason)
    for (const entry of batch) {
      if (lease.lost.aborted) throw new FleetError('LEASE_LOST', `${entry.build} and what comes after it was left`)
      const of = { by: bench.by, at: new Date(bench.clock.now()).toISOString() }
      objects += await pruneBuild({ store, catalog: ports.catalog }, entry, of, signal)
    }
  }
  const gone = new Set<string>(plan.remove.map(({ build }) => build))
  const kept = plan.keep.map(({ build }) => build)
  if (gone.size > 0) objects += await pruneDeltas(store, kept, gone, signal)
  if (report.json) report.document({ app, dryRun: false, objects, ...documentOf(plan) })
  else for (const line of planLines(bench, plan, 'Removed', objects)) report.result(line)
  return 0
}

/** @throws FleetError when something that cannot be read might name any build */
async function decide(bench: Bench, wish: PruneWish): Promise<PrunePlan> {
  const { app, policy, ports, clock, signal } = bench
  const rings = await everyRing(ports.ledger, bench.rings, signal)
  const observed = await observe(ports, { app, rings, policy }, signal)
  const builds = await ports.catalog.list(signal)
  const views = rings.map((ring) => ringOf(observed, ring))
  const facts = { builds, rings: views, rollout: observed.rollout, now: clock.now() }
  const doubt = pruneDoubt(facts)
  if (doubt !== null) throw new FleetError(doubt.code, `${doubt.message}; nothing was removed`)
  return planPrune(wish, facts)
}

/** Before anything is removed: a prune that is broken off is told of all the same. */
async function tell(bench: Bench, lease: Lease, batch: readonly CatalogEntry[], reason: string): Promise<void> {
  const { app, rings, policy, ports, clock, by, signal } = bench
  const { ledger } = await observe(ports, { app, rings, policy }, signal)
  const builds = batch.map(({ build }) => build).join(', ')
  const at = new Date(clock.now()).toISOString()
  const told = [{ at, by, event: 'pruned', facts: { count: batch.length, builds, reason } }]
  await execute({ ledger: ports.ledger, lease }, ledger, { rollout: null, events: [], told, answered: [] }, signal)
}

function documentOf({ remove, keep }: PrunePlan): object {
  const removed = remove.map(({ build, createdAt, artifact }) => ({ build, createdAt, bytes: artifact.bytes }))
  return { remove: removed, keep }
}

function planLines({ clock }: Bench, plan: PrunePlan, verb: string, objects?: number): readonly string[] {
  const { remove, keep } = plan
  if (remove.length === 0) return [`Nothing to remove: all ${counted(keep.length, 'build')} stay.`]
  const bytes = remove.reduce((sum, { artifact }) => sum + artifact.bytes, 0)
  const from = objects === undefined ? '' : ` in ${counted(objects, 'object')}`
  return [
    `${verb} ${counted(remove.length, 'build')}, ${formatBytes(bytes)}${from}:`,
    ...remove.map(({ build, createdAt }) => `  ${build}, ${ageOf(createdAt, clock.now())} old`),
    `${counted(keep.length, 'build')} ${keep.length === 1 ? 'stays' : 'stay'}:`,
    ...keep.map(({ build, because }) => `  ${build}: ${plain(because.slice(0, 3).join(', '))}`),
  ]
}

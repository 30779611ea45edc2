// Owns `conduct release --supersede`: recalls the open rollout, by waves as any rollback, so that a hotfix can take its place.
import { obstacles } from '#conductor/core/preflight.ts'
import { isOver } from '#conductor/core/reduce.ts'
import { supersede } from '#conductor/core/superseding.ts'
import { observe, ringOf } from '#conductor/shell/observe.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { type ReleaseOptions, wishOf } from './deciding.ts'
import { conclude } from './ending.ts'
import { checkBypass, findingLines, forcedBy, lookAhead, refuseUnless } from './preflight.ts'
import { release } from './release.ts'
import { bringBack, previewBack } from './rollback.ts'
import type { Bench } from './world.ts'

/** `free`: the release may begin, in the place of `supersedes` if there was one. `ended`: there is nothing more to do. */
type Way =
  | { readonly kind: 'free'; readonly supersedes: string | null }
  | { readonly kind: 'ended'; readonly exit: number }

const LOOK_MS = 200

/** A release that takes the place of the open rollout. */
export async function releaseInPlace(bench: Bench, options: ReleaseOptions): Promise<number> {
  checkBypass(options, bench)
  const way = await makeWay(bench, options)
  return way.kind === 'ended' ? way.exit : release(bench, { ...options, supersedes: way.supersedes })
}

/** @throws FleetError when the new build would be refused: then nothing is recalled for it */
async function makeWay(bench: Bench, options: ReleaseOptions): Promise<Way> {
  const { app, rings, policy, ports, report, signal } = bench
  const observed = await observe(ports, { app, rings, policy }, signal)
  const builds = await ports.catalog.list(signal)
  const views = rings.map((ring) => ringOf(observed, ring))
  const found = supersede(wishOf(bench, options, ''), { rings: views, rollout: observed.rollout, builds })
  if (found.kind === 'refuse') throw new FleetError(found.code, found.message)
  if (found.kind === 'free') return { kind: 'free', supersedes: null }
  const { open, entry } = found
  const forced = forcedBy(options)
  const next = { build: entry.build, fallbacks: open.fallbacks }
  const findings = await lookAhead(bench, next, { observed, builds })
  const back = { to: null, now: options.now, dryRun: options.dryRun, timeoutMs: options.timeoutMs }
  const reason = `superseded by ${entry.build}${options.reason === '' ? '' : `: ${options.reason}`}`
  if (options.dryRun) {
    const lines = await previewBack(bench, { ...back, reason })
    const refused = obstacles(findings, forced).length > 0
    if (report.json)
      report.document({ app, dryRun: true, build: entry.build, supersedes: open.id, checks: findings, forced })
    else {
      report.result(
        `Would recall rollout ${open.id} of ${open.build}, then ${refused ? 'refuse to ' : ''}release ${entry.build}:`,
      )
      for (const line of lines) report.result(`  ${line}`)
      for (const line of findingLines(findings, forced)) report.result(line)
    }
    return { kind: 'ended', exit: refused ? 3 : 0 }
  }
  refuseUnless(bench, entry.build, findings, forced)
  report.say(`Recalling rollout ${open.id} of ${open.build}, to release ${entry.build} in its place.`)
  const ending = await bringBack(bench, { ...back, reason })
  const after = (await ports.ledger.view(rings, signal)).rollout?.record ?? null
  if (after === null || after.id !== open.id || !isOver(after))
    return { kind: 'ended', exit: await conclude(bench, ending) }
  for (const line of ending.lines) report.say(line)
  await leaseFree(bench, open, options.timeoutMs)
  return { kind: 'free', supersedes: open.id }
}

/** The driver of the recalled rollout ends by itself, after it has said how it ended. */
async function leaseFree({ ports, clock, signal }: Bench, { id }: Rollout, timeoutMs: number): Promise<void> {
  const end = clock.monotonic() + timeoutMs
  while (clock.monotonic() < end) {
    const holder = await ports.locks.holder(signal)
    if (holder === null || holder.rollout !== id) return
    await clock.sleep(LOOK_MS, signal)
  }
}

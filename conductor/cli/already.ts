// Owns a release of what is ordered already: nothing is written, and nodes that are not there yet are waited for.
import type { RingPicture } from '#conductor/core/picture.ts'
import { formatDuration } from '#fleet/duration.ts'
import type { ReleaseOptions } from './deciding.ts'
import { conclude } from './ending.ts'
import { follow } from './follow.ts'
import { Progress } from './progress.ts'
import { plain } from './reporter.ts'
import { look } from './verbs.ts'
import { counted, listed } from './words.ts'
import type { Bench } from './world.ts'

/** The order stands: nothing to write. Nodes that are not there yet are waited for, because releasing means that they run it. */
export async function already(bench: Bench, build: string, options: ReleaseOptions): Promise<number> {
  const { report, clock } = bench
  const began = clock.monotonic()
  const arrived = (rings: readonly RingPicture[]) => rings.every(({ counts }) => counts.working + counts.staged === 0)
  let { picture } = await look(bench)
  if (!arrived(picture.rings) && !options.dryRun) {
    report.say(`The order for ${build} stands already; waiting for the nodes that are not there yet.`)
    const progress = new Progress(report, clock, `Waiting for ${build}`)
    picture = await follow(bench, options.timeoutMs, (now) => {
      progress.show(now, [], null)
      return arrived(now.rings)
    })
  }
  const total = picture.rings.reduce((sum, { counts }) => sum + counts.total, 0)
  const there = picture.rings.reduce((sum, { counts }) => sum + counts.converged, 0)
  const odd = picture.rings.flatMap(({ nodes }) =>
    nodes.filter(({ state }) => state === 'failed' || state === 'working'),
  )
  const rings = listed(bench.rings, 8)
  const lines = [
    `${build} is already there: ${there} of ${counted(total, 'node')} of ${rings} run it, and nothing was written.`,
  ]
  const failing = odd.map(
    ({ node, phase, refusal }) =>
      `  ${node} does not run it (${refusal?.code ?? phase}: ${plain(refusal?.message ?? 'it is not there yet')}).`,
  )
  const ms = formatDuration(clock.monotonic() - began)
  if (odd.length > 0)
    lines.push(`Not every node runs it after ${ms}: conduct release ${build} --retry asks them once more.`, ...failing)
  return conclude(bench, { exit: odd.length > 0 ? 1 : 0, lines })
}

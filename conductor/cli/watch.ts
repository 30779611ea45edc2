// Owns `conduct watch`: the picture of an app, live, until the person has seen enough.
import type { Picture } from '#conductor/core/picture.ts'
import { isCalm, rolloutWhy } from '#conductor/core/why-rollout.ts'
import { follow } from './follow.ts'
import { renderPicture } from './render.ts'
import { plain } from './reporter.ts'
import { listed } from './words.ts'
import type { Bench } from './world.ts'

/** On a terminal redrawn in place; elsewhere a line per change, and with `--json` a document per line. Ctrl-C is its normal end. */
export async function watch(
  bench: Bench,
  options: { readonly nodes: boolean; readonly timeoutMs: number },
): Promise<number> {
  const { report, clock, signal } = bench
  let last = ''
  const show = (picture: Picture): boolean => {
    if (report.isLive) {
      report.draw([...renderPicture(picture, report.paintAside, clock.now(), options), '', 'Ctrl-C ends.'])
      return false
    }
    const said = report.json ? JSON.stringify(picture) : [...picture.rings.map(lineOf), ...waiting(picture)].join('\n')
    if (said !== last) report.result(said)
    last = said
    return false
  }
  try {
    await follow(bench, options.timeoutMs, show)
  } catch (error) {
    if (!signal.aborted) throw error
  }
  report.settle()
  return 0
}

/** By code alone: how much of a soak is left is no news every second. */
function waiting(picture: Picture): readonly string[] {
  const why = rolloutWhy(picture, 0)
  const { about, title, code, nodes, command } = why
  const who = nodes.length === 0 ? '' : `: ${listed(nodes)}`
  return isCalm(why) ? [] : [`rollout ${about}: ${title}${who} (${code}); type: ${plain(command)}`]
}

function lineOf({ ring, target, trouble, counts }: Picture['rings'][number]): string {
  const { total, converged, staged, working, failed, silent } = counts
  const order =
    target === null ? 'no readable target' : `${target.build ?? 'nothing'} (generation ${target.generation})`
  const said = `${ring}: ${order}; ${total} nodes: ${converged} converged, ${staged} staged, ${working} working, ${failed} failed, ${silent} silent`
  return trouble === null ? said : `${said}; ${plain(trouble.message)}`
}

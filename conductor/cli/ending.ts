// Owns how a driving verb ends: the sentences that say what happened, and the exit code that a script reads.

import type { NodePicture, RingPicture } from '#conductor/core/picture.ts'
import { describeWaived } from '#conductor/core/waiver.ts'
import type { Driven } from '#conductor/shell/reconcile.ts'
import { formatDuration } from '#fleet/duration.ts'
import type { ErrorCode } from '#fleet/errors.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { serving, wordsOf } from './render.ts'
import { plain } from './reporter.ts'
import { look } from './verbs.ts'
import { counted, listed } from './words.ts'
import type { Bench } from './world.ts'

/** What a script may want to know of an end, beside the picture. */
export interface Ending {
  readonly exit: number
  /** What kept the verb from being done, as a code of the error table. */
  readonly code?: ErrorCode
  readonly lines: readonly string[]
}

/** Prints the end of a verb: sentences, or with `--json` the picture with them. */
export async function conclude(bench: Bench, ending: Ending): Promise<number> {
  const { report } = bench
  report.settle()
  if (report.json) {
    const { picture } = await look(bench)
    report.document({ ...picture, result: { exit: ending.exit, code: ending.code ?? null, sentences: ending.lines } })
  } else for (const line of ending.lines) report.result(line)
  return ending.exit
}

function touched(rollout: Rollout, rings: readonly RingPicture[]): readonly RingPicture[] {
  return rings.filter(({ ring }) => ring in rollout.fallbacks)
}

export function endOfRelease(driven: Driven, rings: readonly RingPicture[], ms: number): Ending {
  const { rollout, end } = driven
  const { build } = rollout
  const time = formatDuration(ms)
  if (end === 'late') {
    const open = `the rollout ${rollout.id} is open: conduct release ${build} goes on with it, conduct rollback takes it back`
    return { exit: 1, code: 'NOT_CONVERGED', lines: [`Not done after ${time}: ${open}.`, ...strays(rings, build)] }
  }
  if (end === 'held') {
    const { code, reason } = rollout.hold ?? { code: '', reason: 'held' }
    const orphan = code === 'orphan-write'
    const onward = orphan
      ? 'conduct release --adopt takes it over'
      : `conduct resume lifts the hold and conduct release ${build} goes on`
    const help = `conduct rollback goes back, ${onward}`
    return {
      exit: orphan ? 3 : 1,
      code: orphan ? 'ORPHAN_WRITE' : 'NOT_CONVERGED',
      lines: [`On hold after ${time}: ${plain(reason)}. Nothing more was written: ${help}.`],
    }
  }
  if (rollout.phase === 'done') {
    const lines = touched(rollout, rings).map(({ ring, counts }) => {
      const all = counts.converged === counts.total
      const who = all
        ? `all ${counted(counts.total, 'node')}`
        : `${counts.converged} of ${counted(counts.total, 'node')}`
      return `Released ${build} to ${ring}: ${who} ${counts.converged === 1 ? 'runs' : 'run'} it after ${time}.`
    })
    const waived = describeWaived(rollout)
    const uncounted = waived === '' ? [] : [`  Not counted: ${plain(waived)}.`]
    return { exit: 0, lines: [...lines, ...uncounted, ...strays(rings, build)] }
  }
  const why = plain(rollout.outcome ?? 'it failed')
  if (rollout.cause === 'aborted') {
    const ways = `conduct release ${build} goes on from there, conduct rollback takes it back`
    const kept = touched(rollout, rings).map(({ ring, nodes }) => `  ${ring}: ${keptBy(nodes, build)}.`)
    return { exit: 1, code: 'ROLLOUT_FAILED', lines: [`${build} stopped after ${time}: ${why}; ${ways}.`, ...kept] }
  }
  if (rollout.phase === 'aborted') {
    const help = 'conduct publish a better one and release it'
    return {
      exit: 1,
      code: 'NO_PREVIOUS',
      lines: [`${build} failed after ${time} and there is no previous build to go back to: ${why}.`, `Try: ${help}`],
    }
  }
  const lines = touched(rollout, rings).map((ring) => backLine(rollout, ring))
  return {
    exit: 1,
    code: 'ROLLOUT_FAILED',
    lines: [`${build} was rolled back, after ${time}: ${why}.`, ...lines, ...refusals(rings, build)],
  }
}

export function endOfRollback(
  driven: Pick<Driven, 'rollout' | 'end'>,
  rings: readonly RingPicture[],
  ms: number,
): Ending {
  const { rollout, end } = driven
  const time = formatDuration(ms)
  const back = touched(rollout, rings)
  const lines = back.map((ring) => backLine(rollout, ring, time))
  if (end !== 'over') {
    return {
      exit: 1,
      code: 'NOT_CONVERGED',
      lines: [
        `Not every node is back after ${time}: conduct rollback waits on.`,
        ...lines,
        ...back.flatMap((r) => away(r, rollout)),
      ],
    }
  }
  if (rollout.phase === 'aborted') {
    return {
      exit: 3,
      code: 'NO_PREVIOUS',
      lines: [
        `${rollout.build} is the first build of this ring: there is nothing to go back to, and it was left running.`,
      ],
    }
  }
  const lost = back.flatMap((ring) => away(ring, rollout))
  return { exit: lost.length > 0 ? 1 : 0, lines: [...lines, ...lost] }
}

/** What an aborted rollout leaves standing in a ring. */
function keptBy(nodes: readonly NodePicture[], build: string): string {
  return `${nodes.filter(({ hot }) => hot === build).length} of ${counted(nodes.length, 'node')} run ${build}`
}

/** A node that is back and re-arms its cold directory already is back all the same. */
function backLine(rollout: Rollout, picture: RingPicture, time?: string): string {
  const { ring, nodes } = picture
  const build = rollout.fallbacks[ring]?.build
  if (build === undefined)
    return `${ring}: the release of ${rollout.build} is ended; nothing else was ever released there.`
  const [there, total] = [serving(picture, build).length, nodes.length]
  const who = there === total ? `all ${counted(total, 'node')}` : `${there} of ${counted(total, 'node')}`
  return `${ring} is back on ${build}: ${who} ${there === 1 && total === 1 ? 'runs' : 'run'} it${time === undefined ? '' : ` after ${time}`}.`
}

/** Nodes that are known or feared to run something else than they went back to. */
function away({ ring, nodes }: RingPicture, rollout: Rollout): readonly string[] {
  const build = rollout.fallbacks[ring]?.build
  if (build === undefined) return []
  return nodes.filter(({ hot }) => hot !== build).map((node) => strayLine(node, build))
}

/** Nodes that do not run what they should when a verb ends, one line each. */
function strays(rings: readonly RingPicture[], build: string): readonly string[] {
  const odd = rings.flatMap(({ nodes }) => nodes.filter(({ state }) => state !== 'converged'))
  const shown = odd.slice(0, 10).map((node) => strayLine(node, build))
  return odd.length > shown.length ? [...shown, `  … and ${counted(odd.length - shown.length, 'more node')}.`] : shown
}

function strayLine(node: NodePicture, build: string): string {
  const { node: name, state, hot, phase } = node
  const runs = hot === null ? 'runs nothing yet' : hot === build ? `runs ${hot}` : `last said that it runs ${hot}`
  const said = wordsOf(node).map(plain)
  const why = said.length === 0 ? '' : ` (${said[0]})`
  if (state === 'silent' && node.at === '') return `  ${name} is silent: what stands in its key cannot be read${why}.`
  if (state === 'silent') return `  ${name} is silent: it ${runs}, and follows when it returns.`
  return `  ${name} is ${state === 'failed' ? 'failed' : phase}: it ${runs}${why}.`
}

/** What the nodes that refused the build said of it. */
function refusals(rings: readonly RingPicture[], build: string): readonly string[] {
  const refusing = rings.flatMap(({ nodes }) => nodes.filter(({ refusal }) => refusal?.build === build))
  if (refusing.length === 0) return []
  const first = refusing[0]?.refusal
  const names = listed(refusing.map(({ node }) => node))
  return [`  Refused by ${names}: ${first?.code} ${plain(first?.message ?? '')}.`]
}

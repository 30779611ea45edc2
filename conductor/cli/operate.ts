// Owns turning what an operator typed into a wish: which ring a node is in, when a hold ends, and that a reason is given.

import type { VerbWish } from '#conductor/core/verbs.ts'
import { MAX_REASON } from '#conductor/shell/perform.ts'
import { isBuildId, isName, type Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { carryOut, type VerbOptions } from './carry-out.ts'
import type { Bench } from './world.ts'

export interface Typed extends VerbOptions {
  readonly verb: VerbWish['verb']
  readonly reason: string
  /** Node names, or the build, as they were typed. */
  readonly words: readonly string[]
  readonly to: string | null
  readonly expires: string | null
}

/** Verbs that leave something standing for others to find: they say why. */
const REASONED: readonly VerbWish['verb'][] = ['hold', 'waive', 'forget', 'pin', 'quarantine', 'clear']
const ABOUT_NODES: readonly VerbWish['verb'][] = ['retry', 'waive', 'unwaive', 'pin', 'unpin', 'forget']

/** @throws FleetError `USAGE` · `NAME_INVALID` · `NODE_UNKNOWN` · what carrying it out throws */
export async function operate(bench: Bench, typed: Typed): Promise<number> {
  const { verb, reason, words, to } = typed
  if (REASONED.includes(verb) && reason === '') {
    throw new FleetError('USAGE', `conduct ${verb} needs a reason: --reason WHY is shown to whoever meets it`)
  }
  if (reason.length > MAX_REASON) {
    throw new FleetError('USAGE', `the reason has ${reason.length} characters, at most ${MAX_REASON} are kept`)
  }
  const now = bench.clock.now()
  const nodes = ABOUT_NODES.includes(verb) ? words.map(nodeNamed) : []
  const rings = await ringsOf(bench, verb, nodes)
  if (rings === null) return nowhere(bench, verb, nodes)
  if (verb === 'hold') await refuseUnknown(bench, rings)
  const wish: VerbWish = {
    verb,
    by: bench.by,
    reason,
    at: new Date(now).toISOString(),
    nodes,
    rings,
    build: verb === 'quarantine' || verb === 'clear' ? buildNamed(words[0] ?? '') : null,
    to,
    expires: endOf(typed.expires, now),
  }
  return carryOut(bench, wish, typed)
}

/** What is gone is gone: a verb that takes something away has nothing to do where there is nothing, and says where it looked. */
function nowhere({ report, app, rings }: Bench, verb: string, nodes: readonly Name[]): number {
  const message = `${nodes.join(', ')} is ${verb === 'unpin' ? 'not pinned' : 'no node'} in ${rings.join(', ')}`
  if (report.json) report.document({ app, dryRun: false, verb, result: 'already', message, driven: false })
  else report.result(`Nothing to do: ${message}.`)
  return 0
}

function nodeNamed(word: string): Name {
  if (isName(word)) return word
  throw new FleetError('NAME_INVALID', `${JSON.stringify(word)} is not the name of a node`)
}

function buildNamed(word: string) {
  if (isBuildId(word)) return word
  throw new FleetError('NAME_INVALID', `${JSON.stringify(word)} is not a build id`)
}

/** The rings that a verb names: of a hold what was typed, of a node the one that it is in; null: nothing to take away is in any. */
async function ringsOf(bench: Bench, verb: VerbWish['verb'], [node]: readonly Name[]): Promise<readonly Name[] | null> {
  const { rings, ringsNamed } = bench
  if (verb === 'hold' || verb === 'unhold') return ringsNamed ? rings : []
  if (node === undefined || ['retry', 'waive', 'unwaive'].includes(verb)) return []
  if (ringsNamed && rings.length === 1) return rings
  const kind = verb === 'unpin' ? 'pin' : 'node'
  const found = await ringsWith(bench, kind, node)
  if (found.length === 1) return found
  if (found.length > 1) throw new FleetError('USAGE', `${node} is in ${found.join(' and ')}: name one with --ring`)
  if (verb !== 'pin') return null
  throw new FleetError('NODE_UNKNOWN', `${node} never reported in ${rings.join(', ')}; --ring names another ring`)
}

async function ringsWith({ rings, ports, signal }: Bench, kind: 'pin' | 'node', node: Name): Promise<readonly Name[]> {
  const views = await Promise.all(rings.map((ring) => ports.ledger.peek({ kind, ring, node }, signal)))
  return rings.filter((_, i) => views[i]?.raw !== null)
}

/** A hold of a ring that there is not would stop nothing, and look as if it did. */
async function refuseUnknown({ app, ports, signal }: Bench, rings: readonly Name[]): Promise<void> {
  const { targets } = await ports.ledger.view(rings, signal)
  const unknown = rings.find((ring) => (targets[ring]?.raw ?? null) === null)
  if (unknown === undefined) return
  throw new FleetError('NOT_INITIALISED', `${app} has no ring ${unknown}, so nothing was stopped`)
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90m`, `4h`, `2d` from now, or a time. @param nowMs milliseconds since 1970 */
export function endOf(text: string | null, nowMs: number): string | null {
  if (text === null) return null
  const [, digits = '', unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? []
  const at = digits === '' ? timeIn(text) : nowMs + Number(digits) * (UNITS[unit] ?? 0)
  if (Number.isNaN(at))
    throw new FleetError('USAGE', `--expires ${JSON.stringify(text)} is no time: 90m, 4h, 2d or 2026-11-22T16:00:00Z`)
  if (at <= nowMs) throw new FleetError('USAGE', `--expires ${text} is over already`)
  return new Date(at).toISOString()
}

/** Only a full date counts: `Date.parse` takes almost anything for a time. */
function timeIn(text: string): number {
  return /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
}

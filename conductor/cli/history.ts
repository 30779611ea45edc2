// Owns `conduct history`: what happened, asked by time, build, ring and person, in whole sentences.

import { type HistoryFilter, type InForce, inForceAt, isOpen, selectEntries } from '#conductor/core/chronicle.ts'
import type { Orphan } from '#conductor/core/orphan.ts'
import { everyRing, untoldOrphans } from '#conductor/shell/orphans.ts'
import type { HistoryEntry } from '#fleet/ports.ts'
import { plain } from './reporter.ts'
import { verbSentence } from './told.ts'
import { columns, counted } from './words.ts'
import type { Bench } from './world.ts'

export interface HistoryOptions {
  readonly limit: number
  /** Milliseconds since 1970, or null: now. */
  readonly atMs: number | null
  readonly build: string | null
  /** `--by`: entries of this person. */
  readonly who: string | null
}

export async function history(bench: Bench, options: HistoryOptions): Promise<number> {
  const { app, rings, ringsNamed, ports, report, signal } = bench
  const at = options.atMs === null ? null : new Date(options.atMs).toISOString()
  const filter: HistoryFilter = { at, build: options.build, rings: ringsNamed ? rings : [], by: options.who }
  const all = await ports.ledger.history(isOpen(filter) ? options.limit : Number.MAX_SAFE_INTEGER, signal)
  const passed = selectEntries(all, filter)
  const entries = passed.slice(0, options.limit)
  const force = at === null ? [] : inForceAt(all, at).filter(({ ring }) => !ringsNamed || filter.rings.includes(ring))
  const untold = at === null ? await unwritten(bench) : []
  if (report.json) {
    const moment = at === null ? {} : { at, inForce: force }
    report.document({ app, ...moment, history: entries, ...(untold.length > 0 && { untold }) })
    return 0
  }
  if (at !== null) {
    report.result(`At ${at.slice(0, 19).replace('T', ' ')} UTC:`)
    for (const line of forceLines(force)) report.result(`  ${line}`)
  }
  for (const orphan of untold) report.result(`${report.paint.red('!')} ${untoldLine(orphan)}`)
  if (entries.length === 0) {
    report.result(all.length === 0 ? `Nothing has happened to ${app} yet.` : 'No entry of the history fits.')
  }
  const rows = entries.map((entry) => [
    entry.at.slice(0, 19).replace('T', ' '),
    plain(entry.by),
    plain(sentenceOf(entry)),
  ])
  for (const line of columns(rows)) report.result(line)
  if (passed.length > entries.length)
    report.result(`… and ${counted(passed.length - entries.length, 'older entry', 'older entries')}.`)
  return 0
}

async function unwritten({ app, rings, ports, signal }: Bench): Promise<readonly Orphan[]> {
  const view = await ports.ledger.view(await everyRing(ports.ledger, rings, signal), signal)
  return untoldOrphans(ports.ledger, view, app, signal)
}

function forceLines(force: readonly InForce[]): readonly string[] {
  if (force.length === 0) return ['nothing had been ordered in any ring yet']
  return force.map(({ ring, build, fallback, exposed, roster, generation, since, orphan }) => {
    const share =
      exposed === roster ? '' : ` on ${exposed} of ${counted(roster ?? 0, 'node')}, the others ${fallback ?? 'nothing'}`
    const hand = orphan ? '; then someone wrote over it by hand' : ''
    const when = since.slice(0, 19).replace('T', ' ')
    return `${ring}: ${build ?? 'nothing'}${share} (generation ${generation}, since ${when})${hand}`
  })
}

function untoldLine({ ring, modifyIndex, value }: Orphan): string {
  const what =
    value === null ? 'was deleted by hand' : `was written by hand (ModifyIndex ${modifyIndex}): ${plain(value)}`
  return `Not in the history yet: the target of ${ring} ${what}`
}

/** An order in words: whom it asks for what. */
function ordered(fact: (name: string) => string, roster: unknown): string {
  const [ring, build, fallback] = [fact('ring'), fact('build'), fact('fallback')]
  const share = `${fact('exposed')} of ${counted(Number(roster), 'node')}`
  switch (fact('kind')) {
    case 'stage':
      return `staged ${build} in ${ring}: all run ${fallback} and bring ${build} into cold`
    case 'raise':
      return `raised ${build} in ${ring}: ${share} to run it, the others ${fallback}`
    case 'recall':
      return `recalled ${build} in ${ring}: ${share} may stay on it, the others back to ${fallback}`
    case 'close':
      return `closed ${ring}: all to run ${build}`
    default:
      return `wrote the order for ${build} in ${ring} again`
  }
}

/** An entry as a sentence, without who and when. */
export function sentenceOf({ event, facts }: HistoryEntry): string {
  const fact = (name: string): string =>
    facts[name] === undefined || facts[name] === null ? 'nothing' : String(facts[name])
  const stage = facts.share === undefined ? fact('ring') : `${fact('ring')} at ${fact('share')} %`
  switch (event) {
    case 'release-begun':
      return `began to release ${fact('build')} to ${fact('rings')} (${fact('rollout')})${bypassed(facts)}${reasonOf(facts.reason)}`
    case 'ordered':
      return `${ordered(fact, facts.roster)} (generation ${fact('generation')})`
    case 'stage-passed':
      return `${stage} has passed (${fact('rollout')})`
    case 'stage-converged':
      return `${stage} has converged: its soak begins (${fact('rollout')})`
    case 'convergence-lost':
      return `${stage} is no longer converged: its soak is void (${fact('rollout')})`
    case 'nodes-silent':
      return `${stage} waits for nothing but silent nodes (${fact('rollout')})`
    case 'silence-over':
      return `${stage} does not wait for silent nodes alone any more (${fact('rollout')})`
    case 'smoke-tested':
      return `the smoke test of ${stage} ${facts.passed === true ? 'passed' : 'failed'}: ${fact('message')}`
    case 'stage-soaked':
      return `${stage} has soaked and waits (${fact('rollout')})`
    case 'promoted':
      return `let ${stage} go on (${fact('rollout')})`
    case 'gate-judged':
      return `gate ${fact('gate')} in ${fact('ring')} (${fact('share')} %) says ${fact('verdict')}${reasonOf(facts.message)}`
    case 'held':
      return `put ${fact('rollout')} on hold: ${fact('reason')}`
    case 'rollback-begun':
      return `began to roll ${fact('rollout')} back: ${fact('outcome')}`
    case 'ended':
      return `${fact('rollout')} of ${fact('build')} ended ${fact('phase')}: ${fact('outcome')}`
    case 'request-answered':
      return `asked ${fact('verb') === 'rollback' ? 'for a rollback' : `to ${fact('verb')}`}: ${fact('outcome')}`
    case 'orphan-write':
      return `the target of ${fact('ring')} ${orphaned(facts)}; noticed by ${fact('noticedBy')}`
    case 'pruned':
      return `pruned ${fact('builds')}${reasonOf(facts.reason)}`
    case 'slot-skipped':
      return `the slot of ${fact('slot')} began nothing: ${fact('reason')}`
    case 'after-rollout':
      return `ran the command after ${fact('rollout')}: ${fact('said')}`
    default:
      return verbSentence(event, fact) ?? `${event} ${JSON.stringify(facts)}`
  }
}

function orphaned(facts: HistoryEntry['facts']): string {
  if (typeof facts.value !== 'string') return 'was deleted by someone who does not hold the lease'
  const long = Number(facts.bytes) > facts.value.length ? '…' : ''
  return `was written by someone who does not hold the lease (ModifyIndex ${facts.modifyIndex}): ${facts.value}${long}`
}

/** What a release went past, and what it took the place of. */
function bypassed({ forced, supersedes, emergency }: HistoryEntry['facts']): string {
  const parts = [
    ...(emergency === true ? ['in an emergency'] : []),
    ...(typeof forced === 'string' && forced !== '' ? [`past ${forced}`] : []),
    ...(typeof supersedes === 'string' ? [`in place of ${supersedes}`] : []),
  ]
  return parts.length === 0 ? '' : `, ${parts.join(', ')}`
}

function reasonOf(reason: unknown): string {
  return typeof reason === 'string' && reason !== '' ? `: ${reason}` : ''
}

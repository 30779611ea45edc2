// Owns how the picture of an app looks to a person: rings, counts, nodes, and sentences for what is wrong.

import type { NodePicture, Picture, RingPicture, RolloutPicture } from '#conductor/core/picture.ts'
import { isCalm, rolloutWhy } from '#conductor/core/why-rollout.ts'
import { formatBytes } from '#fleet/duration.ts'
import type { Because } from '#fleet/rollout.ts'
import { type Counts, NODE_STATES, type NodeState } from '#fleet/roster.ts'
import { type Paint, plain } from './reporter.ts'
import { ageOf, counted, lasted, listed, pad } from './words.ts'

/** Up to here every node is listed; beyond, only those that are not where they should be. */
const LIST_ALL = 12
const LIST_MOST = 25

const MARKS: Readonly<Record<NodeState, string>> = {
  converged: '●',
  staged: '◐',
  working: '◌',
  failed: '✖',
  silent: '?',
}

function paintState(paint: Paint, state: NodeState): (text: string) => string {
  if (state === 'converged') return paint.green
  if (state === 'staged') return paint.cyan
  return state === 'working' ? paint.yellow : paint.red
}

/** The whole of `conduct status`. @param options.nodes list every node, however many */
export function renderPicture(
  picture: Picture,
  paint: Paint,
  nowMs: number,
  options: { nodes: boolean },
): readonly string[] {
  const lines = picture.rings.flatMap((ring) => [...renderRing(picture.app, ring, paint, nowMs, options.nodes), ''])
  if (picture.rollout !== null)
    lines.push(...renderRollout(picture.rollout, paint, nowMs), ...renderNext(picture, nowMs))
  else lines.push('Nothing has been released yet.')
  if (picture.lease !== null) {
    const { holder, since, reason, serves } = picture.lease
    const age = ageOf(since, nowMs)
    lines.push(
      serves ? `Led by ${plain(holder)} for ${age}.` : `Held by ${plain(holder)} for ${age}: ${plain(reason)}.`,
    )
  }
  for (const { ring, by, reason, at, expires } of picture.holds) {
    const what = ring === null ? 'The line is stopped' : `${ring} is stopped`
    const when = expires === null ? '' : ` until ${plain(expires)}`
    const since = at === '' ? '' : `, ${ageOf(at, nowMs)} ago`
    const lift = ring === null ? 'conduct unhold' : `conduct unhold --ring ${ring}`
    lines.push(`${paint.red('!')} ${what} by ${plain(by)}${when}${since}: ${plain(reason)}. ${lift} lifts it.`)
  }
  return lines
}

/** What happens next to a rollout that waits or came back, and what to type. */
function renderNext(picture: Picture, nowMs: number): readonly string[] {
  const why = rolloutWhy(picture, nowMs)
  return isCalm(why) ? [] : [`  Next (${why.code}): ${plain(why.next)}. Type: ${plain(why.command)}`]
}

function renderRing(app: string, ring: RingPicture, paint: Paint, nowMs: number, all: boolean): readonly string[] {
  const { target, trouble, counts, nodes } = ring
  const head = `${paint.bold(`${app}/${ring.ring}`)}  ${describeTarget(target, nowMs)}`
  const lines = [head]
  if (trouble !== null) lines.push(`  ${paint.red('!')} ${plain(trouble.message)}.`)
  lines.push(`  ${renderCounts(counts, paint)}`)
  const odd = nodes.filter(({ state }) => state !== 'converged')
  const listed = all || nodes.length <= LIST_ALL ? nodes : odd.slice(0, LIST_MOST)
  lines.push(...renderNodes(listed, paint, nowMs))
  const hidden = nodes.length - listed.length
  if (hidden > 0) lines.push(`  ${paint.dim(`… and ${counted(hidden, 'more node')}: --nodes lists all`)}`)
  return lines
}

function describeTarget(target: RingPicture['target'], nowMs: number): string {
  if (target === null) return 'no readable target'
  if (target.build === null) return 'created, nothing released yet'
  const part = target.cutoff === 0 ? 'staging' : target.recall ? 'taking back' : ''
  const what = [part, target.build].filter((word) => word !== '').join(' ')
  const back = target.fallback === null ? 'no fallback' : `fallback ${target.fallback}`
  const who = target.by === '' ? '' : ` by ${plain(target.by)}`
  const when = target.at === '' ? '' : ` ${ageOf(target.at, nowMs)} ago`
  return `${what}  (${back}, generation ${target.generation}${who}${when})`
}

/** `10 nodes: 7 converged, 2 working, 1 silent`; what is zero is left out. */
export function renderCounts(counts: Counts, paint: Paint): string {
  if (counts.total === 0) return 'no node has ever reported'
  const parts = NODE_STATES.filter((state) => counts[state] > 0).map((state) =>
    paintState(paint, state)(`${counts[state]} ${state}`),
  )
  return `${counted(counts.total, 'node')}: ${parts.join(', ')}`
}

function renderNodes(nodes: readonly NodePicture[], paint: Paint, nowMs: number): readonly string[] {
  if (nodes.length === 0) return []
  const header = ['NODE', 'STATE', 'PHASE', 'HOT', 'COLD', 'SAID']
  const rows = nodes.map((node) => [
    node.node,
    `${MARKS[node.state]} ${node.state}`,
    node.phase,
    node.hot ?? '-',
    node.cold === null ? '-' : `${node.cold}${node.armed ? ' armed' : ''}`,
    ageOf(node.at, nowMs),
  ])
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (row: readonly string[]) => row.map((cell, i) => pad(cell, widths[i] ?? 0))
  const lines = [`  ${paint.dim(line(header).join('  ').trimEnd())}`]
  rows.forEach((row, i) => {
    const node = nodes[i]
    if (node === undefined) return
    const cells = line(row)
    cells[1] = paintState(paint, node.state)(cells[1] ?? '')
    lines.push(`  ${cells.join('  ').trimEnd()}`)
    for (const said of wordsOf(node)) lines.push(`      ${paint.dim(plain(said))}`)
  })
  return lines
}

/** What a node has to say beyond its columns. */
export function wordsOf(node: NodePicture): readonly string[] {
  const words: string[] = []
  if (node.waived !== null) words.push(`waived by ${node.waived.by}: ${node.waived.reason}`)
  if (node.refusal !== null) words.push(`refuses ${node.refusal.build}: ${node.refusal.code} ${node.refusal.message}`)
  words.push(...node.troubles.map(({ code, message }) => `${code}: ${message}`))
  if (node.progress !== null && node.progress.totalBytes > 0) {
    words.push(`${formatBytes(node.progress.doneBytes)} of ${formatBytes(node.progress.totalBytes)} fetched`)
  }
  return words
}

/** Phases in which a node serves what its hot link names. */
const SERVING: readonly string[] = ['idle', 'fetching', 'staged']

/** The nodes of a ring that say they serve a build now, whatever the order asks and whatever they bring into cold meanwhile. */
export function serving({ nodes }: RingPicture, build: string | null): readonly NodePicture[] {
  return nodes.filter(({ hot, phase, silent }) => hot === build && SERVING.includes(phase) && !silent)
}

const PHASES: Readonly<Record<string, string>> = {
  staging: 'is staging',
  advancing: 'is advancing',
  soaking: 'is soaking',
  waiting: 'is waiting',
  recalling: 'is being rolled back',
  done: 'is done',
  rolledBack: 'was rolled back',
  aborted: 'was aborted',
}

export function renderRollout(rollout: RolloutPicture, paint: Paint, nowMs: number): readonly string[] {
  const { id, build, by, commander, phase, startedAt, endedAt, stage, outcome, hold, gates, because } = rollout
  const where =
    endedAt === null && stage.of > 1
      ? ` at ${stage.ring} ${stage.share} % (stage ${stage.index + 1} of ${stage.of})`
      : ''
  const time = lasted(startedAt, endedAt, nowMs)
  const when = endedAt === null ? `for ${time}` : `${ageOf(endedAt, nowMs)} ago after ${time}`
  const lines = [`Rollout ${id} of ${paint.bold(build)} by ${plain(by)} ${PHASES[phase] ?? phase}${where}, ${when}.`]
  if (commander !== by && endedAt === null) lines.push(`  ${plain(commander)} is its commander now.`)
  if (outcome !== null && phase !== 'done') lines.push(`  ${plain(outcome)}.`)
  if (hold !== null) lines.push(`  ${paint.red('On hold')} by ${plain(hold.by)} (${hold.code}): ${plain(hold.reason)}.`)
  if (gates.length > 0) lines.push(`  Gates: ${gates.map(({ gate, verdict }) => `${gate} ${verdict}`).join(', ')}.`)
  for (const why of because) lines.push(`  ${capital(renderBecause(why))}.`)
  return lines
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

export function renderBecause({ message, nodes }: Because): string {
  const who = nodes === undefined || nodes.length === 0 ? '' : `: ${listed(nodes)}`
  return `${plain(message)}${who}`
}

// Owns `conduct why`: for the rollout, each ring and each node that stands or waits one reason, what happens next, and what to type.
import type { Why } from '#conductor/core/case.ts'
import { type Whys, whysOf } from '#conductor/core/why.ts'
import { slotWhy } from '#conductor/core/why-slot.ts'
import { FleetError } from '#fleet/errors.ts'
import type { SlotRecord } from '#fleet/slot.ts'
import { keyOf } from '#schedule/calendar.ts'
import { plain } from './reporter.ts'
import { look } from './verbs.ts'
import { counted, listed } from './words.ts'
import type { Bench } from './world.ts'

/** Nodes that are explained one by one before `conduct why NODE` has to name one. */
const NODES_MOST = 5

/** @throws FleetError `NODE_UNKNOWN` · `USAGE` for a slot that nobody decided */
export async function why(
  bench: Bench,
  options: { readonly node: string | null; readonly slot: string | null },
): Promise<number> {
  if (options.slot !== null) return slotAlone(bench, options.slot)
  const { report, clock, rings } = bench
  const { picture } = await look(bench)
  const whys = whysOf(picture, clock.now(), await lastSlot(bench))
  const { node } = options
  if (node !== null && whys.nodes.every(({ about }) => about !== node)) {
    throw new FleetError('NODE_UNKNOWN', `${node} never reported in ${listed(rings, 8)}`)
  }
  if (report.json) {
    report.document(node === null ? whys : { ...whys, nodes: whys.nodes.filter(({ about }) => about === node) })
    return 0
  }
  const lines = node === null ? all(whys) : one(whys, node)
  for (const line of lines) report.result(line)
  return 0
}

/** What became of the last slot up to now. */
async function lastSlot({ ports, clock, signal }: Bench): Promise<SlotRecord | null> {
  const now = keyOf(clock.now())
  const entries = await ports.ledger.slots(null, signal)
  return entries.findLast(({ slot }) => slot <= now)?.record ?? null
}

async function slotAlone({ app, ports, report, signal }: Bench, asked: string): Promise<number> {
  const ms = Date.parse(asked)
  if (Number.isNaN(ms)) {
    const help =
      'a slot is named by its instant, like 2026-11-22T17:00:00Z, which the column UTC of conduct schedule next has'
    throw new FleetError('USAGE', `${JSON.stringify(asked)} is no instant: ${help}`)
  }
  const slot = keyOf(ms)
  const found = (await ports.ledger.slots(slot.slice(0, 10), signal)).find((entry) => entry.slot === slot)
  const help = `conduct schedule --at ${slot} shows the slots of that day`
  if (!found?.record) throw new FleetError('USAGE', `nothing is on record of a slot of ${app} at ${slot}: ${help}`)
  const told = slotWhy(found.record)
  if (report.json) report.document({ app, slot: told, record: found.record })
  else for (const line of render(`slot ${slot}`, told)) report.result(line)
  return 0
}

function one({ nodes, rollout }: Whys, node: string): readonly string[] {
  const found = nodes.filter(({ about }) => about === node)
  return [...found.flatMap((each) => render(`${each.ring}/${node}`, each)), ...render('rollout', rollout)]
}

function all({ rollout, slot, rings, nodes }: Whys): readonly string[] {
  const odd = nodes.filter(({ waits }) => waits)
  const shown = odd.slice(0, NODES_MOST)
  const hidden = odd.slice(NODES_MOST).map(({ about }) => about)
  const rest = `… and ${counted(hidden.length, 'more node')}: conduct why NODE explains one (${listed(hidden)}).`
  return [
    ...render('rollout', rollout),
    ...(slot === null ? [] : render(`slot ${slot.about}`, slot)),
    ...rings.filter(({ waits }) => waits).flatMap((each) => render(`ring ${each.about}`, each)),
    ...shown.flatMap((each) => render(`node ${each.about}`, each)),
    ...(hidden.length === 0 ? [] : [rest]),
  ]
}

function render(subject: string, { about, code, title, evidence, nodes, next, when, command, also }: Why) {
  const who = nodes.length === 0 || nodes[0] === about ? '' : `: ${listed(nodes)}`
  const beside = also.length === 0 ? [] : [`  also     ${also.join(', ')}`]
  return [
    `${plain(subject)}: ${title}${who} (${code})`,
    ...evidence.map((fact) => `  because  ${plain(fact)}`),
    ...beside,
    `  next     ${plain(next)}`,
    `  when     ${plain(when)}`,
    `  type     ${plain(command)}`,
  ]
}

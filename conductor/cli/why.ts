// Owns `conduct why`: for the rollout, each ring and each node that stands or waits one reason, what happens next, and what to type.
import type { Why } from '#conductor/core/case.ts'
import { type Whys, whysOf } from '#conductor/core/why.ts'
import { FleetError } from '#fleet/errors.ts'
import { plain } from './reporter.ts'
import { look } from './verbs.ts'
import { counted, listed } from './words.ts'
import type { Bench } from './world.ts'

/** Nodes that are explained one by one before `conduct why NODE` has to name one. */
const NODES_MOST = 5

/** @throws FleetError `NODE_UNKNOWN` */
export async function why(bench: Bench, options: { readonly node: string | null }): Promise<number> {
  const { report, clock, rings } = bench
  const { picture } = await look(bench)
  const whys = whysOf(picture, clock.now())
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

function one({ nodes, rollout }: Whys, node: string): readonly string[] {
  const found = nodes.filter(({ about }) => about === node)
  return [...found.flatMap((each) => render(`${each.ring}/${node}`, each)), ...render('rollout', rollout)]
}

function all({ rollout, rings, nodes }: Whys): readonly string[] {
  const odd = nodes.filter(({ waits }) => waits)
  const shown = odd.slice(0, NODES_MOST)
  const hidden = odd.slice(NODES_MOST).map(({ about }) => about)
  const rest = `… and ${counted(hidden.length, 'more node')}: conduct why NODE explains one (${listed(hidden)}).`
  return [
    ...render('rollout', rollout),
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

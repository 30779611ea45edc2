// Owns the figures of a view: a picture of an app as samples of gauges, all of one moment.
import { PHASES } from '#fleet/node-status.ts'
import { ROLLOUT_PHASES } from '#fleet/rollout.ts'
import { NODE_STATES } from '#fleet/roster.ts'
import { ALL } from '#fleet/target.ts'
import type { Sample, ViewMetric } from './metric-table.ts'
import type { NodePicture, Picture, RingPicture } from './picture.ts'

type Figure = Sample<ViewMetric>

export function figuresOf(picture: Picture): readonly Figure[] {
  const { app, rings, lease, holds } = picture
  const figure = (name: ViewMetric, value: number): Figure => ({ name, labels: { app }, value })
  return [
    figure('conductor_line_holds', holds.length),
    figure('conductor_lease_held', lease === null ? 0 : 1),
    ...rolloutFigures(picture),
    ...rings.flatMap((ring) => [...nodeFigures(app, ring), ...targetFigures(app, ring)]),
  ]
}

function nodeFigures(app: string, { ring, target, counts, nodes }: RingPicture): readonly Figure[] {
  const figure = (name: ViewMetric, value: number, more: Figure['labels'] = {}): Figure => {
    return { name, labels: { app, ring, ...more }, value }
  }
  const exposed = target === null || target.build === null ? 0 : count(nodes, ({ hot }) => hot === target.build)
  const ratio = (name: ViewMetric, part: number) => (nodes.length === 0 ? [] : [figure(name, part / nodes.length)])
  const codes = new Set(nodes.flatMap(({ troubles }) => troubles.map(({ code }) => code)))
  return [
    figure('conductor_roster_nodes', counts.total),
    ...NODE_STATES.map((state) => figure('conductor_nodes', counts[state], { state })),
    ...PHASES.map((phase) =>
      figure(
        'conductor_phase_nodes',
        count(nodes, (node) => node.phase === phase),
        { phase },
      ),
    ),
    ...ratio('conductor_converged_ratio', counts.converged),
    figure('conductor_exposed_nodes', exposed),
    ...ratio('conductor_exposed_ratio', exposed),
    figure(
      'conductor_skewed_nodes',
      count(nodes, ({ ordered, hot }) => ordered !== null && ordered !== hot),
    ),
    figure(
      'conductor_waived_nodes',
      count(nodes, ({ waived }) => waived !== null),
    ),
    ...[...codes].map((code) =>
      figure(
        'conductor_troubled_nodes',
        count(nodes, ({ troubles }) => troubles.some((one) => one.code === code)),
        { code },
      ),
    ),
  ]
}

function count(nodes: readonly NodePicture[], fits: (node: NodePicture) => boolean): number {
  return nodes.filter(fits).length
}

function targetFigures(app: string, { ring, target, trouble }: RingPicture): readonly Figure[] {
  const labels = { app, ring }
  const wrong: readonly Figure[] =
    trouble === null ? [] : [{ name: 'conductor_target_trouble', labels: { ...labels, code: trouble.code }, value: 1 }]
  if (target === null) return wrong
  const builds = { build: target.build ?? '', fallback: target.fallback ?? '' }
  return [
    ...wrong,
    { name: 'conductor_target_generation', labels, value: target.generation },
    { name: 'conductor_ordered_ratio', labels, value: target.cutoff / ALL },
    { name: 'conductor_target_info', labels: { ...labels, ...builds }, value: 1 },
  ]
}

function rolloutFigures({ app, rollout }: Picture): readonly Figure[] {
  const figure = (name: ViewMetric, value: number, more: Figure['labels'] = {}): Figure => {
    return { name, labels: { app, ...more }, value }
  }
  const open = rollout !== null && rollout.endedAt === null
  const always = [
    figure('conductor_rollout_open', open ? 1 : 0),
    figure('conductor_rollout_held', open && rollout.hold !== null ? 1 : 0),
    ...ROLLOUT_PHASES.map((phase) => figure('conductor_rollout_phase', rollout?.phase === phase ? 1 : 0, { phase })),
  ]
  if (rollout === null) return always
  const { id, build, fallback, stage, startedAt, endedAt, because } = rollout
  const [first] = because
  return [
    ...always,
    figure('conductor_rollout_info', 1, { rollout: id, build, fallback: fallback ?? '' }),
    figure('conductor_rollout_stage', stage.index + 1),
    figure('conductor_rollout_stages', stage.of),
    figure('conductor_rollout_start_time_seconds', Date.parse(startedAt) / 1_000),
    ...(endedAt === null ? [] : [figure('conductor_rollout_end_time_seconds', Date.parse(endedAt) / 1_000)]),
    ...(open && first !== undefined ? [figure('conductor_rollout_waits', 1, { code: first.code })] : []),
  ]
}

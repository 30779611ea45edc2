// Owns `conduct plan`: what a release would go through, or what the open one goes through, stage by stage.

import { type Forecast, forecast, type StageForecast } from '#conductor/core/forecast.ts'
import { isOver } from '#conductor/core/reduce.ts'
import { prestageOf, stagesOf, unfitRoute } from '#conductor/core/route.ts'
import { type Observation, observe } from '#conductor/shell/observe.ts'
import type { BuildId } from '#fleet/build.ts'
import { formatDuration } from '#fleet/duration.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { rolloutId } from './lease.ts'
import { plain } from './reporter.ts'
import { columns, counted, listed } from './words.ts'
import type { Bench } from './world.ts'

export interface PlanOptions {
  readonly build: BuildId | null
  /** Name every node. */
  readonly nodes: boolean
}

/** Entries of the history that are looked through for how long stages took. */
const LOOKED_THROUGH = 500

export async function plan(bench: Bench, options: PlanOptions): Promise<number> {
  const { app, rings, ports, policy, signal, report, route, clock } = bench
  const observed = await observe(ports, { app, rings, policy }, signal)
  const open = openOf(observed, options.build)
  const build = open?.build ?? (await buildOf(bench, options.build))
  const stages = open?.stages ?? stagesOf(route, rings)
  const id = open?.id ?? rolloutId(clock)
  const history = await ports.ledger.history(LOOKED_THROUGH, signal)
  const fleet = open === null ? observed.fleet : (await observe(ports, of(bench, open), signal)).fleet
  const said = forecast(stages, fleet, id, route, history)
  const unfit = open === null ? unfitRoute(stages, route) : null
  if (report.json) {
    const prestage = open?.prestage ?? prestageOf(route, rings)
    const stage = open?.stage ?? null
    report.document({ app, build, rollout: id, open: open !== null, stage, prestage, ...said, refusal: unfit })
    return unfit === null ? 0 : 3
  }
  for (const line of render(said, { build, id, open, nodes: options.nodes })) report.result(line)
  if (unfit === null) return 0
  throw new FleetError('PLAN_UNFIT', unfit)
}

/** The open rollout, when it is what was asked for. */
function openOf({ rollout }: Observation, build: BuildId | null): Rollout | null {
  if (rollout === null || isOver(rollout) || rollout.phase === 'recalling') return null
  return build === null || rollout.build === build ? rollout : null
}

function of({ app, policy }: Bench, { stages }: Rollout) {
  return { app, policy, rings: [...new Set(stages.map(({ ring }) => ring))] }
}

async function buildOf({ app, ports, signal }: Bench, build: BuildId | null): Promise<BuildId> {
  if (build !== null) {
    if ((await ports.catalog.find(build, signal)) !== null) return build
    throw new FleetError('BUILD_UNKNOWN', `${build} is not in the catalog of ${app}`)
  }
  const newest = (await ports.catalog.list(signal)).find(({ quarantine }) => quarantine === null)
  if (newest !== undefined) return newest.build
  throw new FleetError('NO_ELIGIBLE_BUILD', 'no published build may be released')
}

interface Heading {
  readonly build: string
  readonly id: string
  readonly open: Rollout | null
  readonly nodes: boolean
}

function render(said: Forecast, { build, id, open, nodes }: Heading): readonly string[] {
  const rings = listed([...new Set(said.stages.map(({ ring }) => ring))], 8)
  const what = `${counted(said.stages.length, 'stage')} to ${rings}`
  const head =
    open === null
      ? `A release of ${build} goes through ${what}.`
      : `Rollout ${id} of ${build} goes through ${what}; stage ${open.stage + 1} is in hand.`
  const titles = ['STAGE', 'RING', 'SHARE', 'NODES', 'AT ONCE', 'SOAK', 'BESIDE', 'TAKES']
  const [header = '', ...rows] = columns([titles, ...said.stages.map(rowOf)])
  const lines = rows.flatMap((row, i) => [`  ${row}`, ...(nodes ? namesIn(said.stages[i]) : [])])
  return [head, `  ${header}`, ...lines, ...sums(said), ...(open === null ? hint(said, build, id) : [])]
}

function rowOf(stage: StageForecast, index: number): readonly string[] {
  const { ring, share, nodes, roster, cap, soakSeconds, smoke, gates, approval, barrier, estimateSeconds, samples } =
    stage
  const beside = [
    ...(smoke === null ? [] : [`smoke test ${plain(smoke.join(' '))}`]),
    ...(gates.length === 0 ? [] : [`gates ${gates.join(', ')}`]),
    ...(barrier ? ['barrier'] : []),
    ...(approval ? ['approval'] : []),
  ]
  const took =
    estimateSeconds === null
      ? 'not known yet'
      : `about ${formatDuration(estimateSeconds * 1_000)} (${counted(samples, 'rollout')})`
  return [
    String(index + 1),
    ring,
    `${share} %`,
    roster === 0 ? 'no nodes' : `${nodes.length} of ${roster}`,
    String(cap),
    soakSeconds === 0 ? '-' : formatDuration(soakSeconds * 1_000),
    beside.length === 0 ? '-' : beside.join('; '),
    took,
  ]
}

function namesIn(stage: StageForecast | undefined): readonly string[] {
  if (stage === undefined || stage.fresh.length === 0) return []
  return [`         ${stage.fresh.join(' ')}`]
}

function sums({ soakSeconds, estimateSeconds, slotSeconds, stages }: Forecast): readonly string[] {
  const [soak, slot] = [soakSeconds * 1_000, slotSeconds * 1_000].map(formatDuration)
  const all =
    estimateSeconds === null
      ? 'how long its nodes take is not known yet'
      : `about ${formatDuration(estimateSeconds * 1_000)} in all`
  const waits = stages.some(({ approval }) => approval) ? ', approvals not counted' : ''
  const late = estimateSeconds !== null && estimateSeconds > slotSeconds ? ': longer than the slot' : ''
  return [`Soaks of ${soak}, ${all}${waits}; a slot has ${slot}${late}.`]
}

/** Shares are cut by the id of the rollout. */
function hint({ stages }: Forecast, build: string, id: string): readonly string[] {
  const cut = stages.some(({ nodes, roster }) => nodes.length < roster)
  return cut ? [`Which nodes come first is up to the rollout: conduct release ${build} --as ${id} takes these.`] : []
}

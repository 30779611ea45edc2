// Owns how our dashboards look: panels, variables and annotations, in few words for each.
import * as common from '@grafana/grafana-foundation-sdk/common'
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline'
import * as table from '@grafana/grafana-foundation-sdk/table'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'

/** Grafana's units: a plain number where nothing is said. */
export type Unit = 's' | 'bytes' | 'percentunit' | 'short' | 'none' | 'dateTimeAsIso'

/** A query, and what its series are called: labels in braces. */
export type Query = readonly [expr: string, legend: string]

interface Look {
  /** One sentence: what to read from it. */
  readonly says: string
  readonly unit?: Unit
  /** In columns of 24. */
  readonly width?: number
  /** From this value on it is amber, from the second on red. */
  readonly worse?: readonly [amber: number, red: number]
  /** Below it is red: for what should be whole. */
  readonly whole?: boolean
}

type Panel = Parameters<dashboard.DashboardBuilder['withPanel']>[0]

const SOURCE = { type: 'prometheus', uid: '${datasource}' }

function target([expr, legend]: Query, at: number, instant: boolean) {
  const query = new prometheus.DataqueryBuilder()
    .refId(String.fromCharCode(65 + at))
    .expr(expr)
    .legendFormat(legend)
  return instant ? query.instant() : query.range()
}

function thresholds({ worse, whole }: Look): dashboard.ThresholdsConfigBuilder {
  const step = (color: string, value: number | null): dashboard.Threshold => ({ color, value })
  const steps = whole === true ? [step('red', null), step('green', 1)] : [step('green', null)]
  if (worse !== undefined) steps.push(step('orange', worse[0]), step('red', worse[1]))
  return new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps)
}

/** The last value of each series, large. */
export function figure(title: string, queries: readonly Query[], look: Look): Panel {
  const { says, unit = 'short', width = 4 } = look
  return new stat.PanelBuilder()
    .title(title)
    .description(says)
    .datasource(SOURCE)
    .unit(unit)
    .targets(queries.map((query, at) => target(query, at, true)))
    .thresholds(thresholds(look))
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false))
    .graphMode(common.BigValueGraphMode.None)
    .span(width)
    .height(4)
}

/** The same for words: the names of the series stand in place of their values. */
export function words(title: string, query: Query, look: Look): Panel {
  const { says, width = 4 } = look
  return new stat.PanelBuilder()
    .title(title)
    .description(says)
    .datasource(SOURCE)
    .targets([target(query, 0, true)])
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false))
    .graphMode(common.BigValueGraphMode.None)
    .textMode(common.BigValueTextMode.Name)
    .noValue('none')
    .span(width)
    .height(4)
}

/** Lines over time; stacked where the series are parts of a whole. */
export function lines(title: string, queries: readonly Query[], look: Look & { readonly stacked?: boolean }): Panel {
  const { says, unit = 'short', width = 12, stacked = false } = look
  const stack = stacked ? common.StackingMode.Normal : common.StackingMode.None
  return new timeseries.PanelBuilder()
    .title(title)
    .description(says)
    .datasource(SOURCE)
    .unit(unit)
    .min(0)
    .targets(queries.map((query, at) => target(query, at, false)))
    .legend(new common.VizLegendOptionsBuilder().showLegend(true).displayMode(common.LegendDisplayMode.List))
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi))
    .stacking(new common.StackingConfigBuilder().mode(stack).group('A'))
    .fillOpacity(stacked ? 40 : 0)
    .span(width)
    .height(8)
}

/** Which of some states held when: a query yields 1 for the one that does, and the series is named for it. */
export function states(title: string, query: Query, look: Look): Panel {
  const { says, width = 12 } = look
  return new statetimeline.PanelBuilder()
    .title(title)
    .description(says)
    .datasource(SOURCE)
    .targets([target(query, 0, false)])
    .span(width)
    .height(8)
}

/** The labels of the series that are there now. */
export function rows(title: string, expr: string, look: Look & { readonly hide?: readonly string[] }): Panel {
  const { says, width = 12, hide = [] } = look
  const hidden = ['Time', 'Value', '__name__', 'job', ...hide].map((name) => [name, true])
  return new table.PanelBuilder()
    .title(title)
    .description(says)
    .datasource(SOURCE)
    .withTarget(target([expr, ''], 0, true).format(prometheus.PromQueryFormat.Table))
    .withTransformation({ id: 'organize', options: { excludeByName: Object.fromEntries(hidden) } })
    .span(width)
    .height(8)
}

/** A variable with the values of a label. */
export function labelVariable(
  name: string,
  query: string,
  more: { readonly many?: boolean; readonly first?: string } = {},
): dashboard.QueryVariableBuilder {
  const variable = new dashboard.QueryVariableBuilder(name)
    .label(name)
    .datasource(SOURCE)
    .query({ query, refId: name })
    .definition(query)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
  if (more.first !== undefined) return variable.current({ text: more.first, value: more.first })
  return more.many === true ? variable.multi(true).includeAll(true).allValue('.*') : variable
}

/** When rollouts began and ended, from the moments that the conductor tells: there is no other source than Prometheus. */
const ANNOTATIONS: readonly {
  readonly name: string
  readonly color: string
  readonly expr: string
  readonly title: string
}[] = [
  {
    name: 'Rollouts begun',
    color: 'blue',
    expr: 'max by (app, rollout, build) (1000 * conductor_rollout_start_time_seconds{app="$app"} * on (app, instance) group_left (rollout, build) conductor_rollout_info)',
    title: '{{build}} begun',
  },
  {
    name: 'Rollouts ended',
    color: 'purple',
    expr: 'max by (app, phase) (1000 * conductor_rollout_end_time_seconds{app="$app"} * on (app, instance) group_left (phase) (conductor_rollout_phase == 1))',
    title: 'ended: {{phase}}',
  },
]

/** A page: variables for data source and app, those of its own, annotations, and links to its sisters. */
export function page(of: {
  readonly uid: string
  readonly title: string
  readonly says: string
  readonly from: string
  readonly variables: readonly dashboard.QueryVariableBuilder[]
  readonly panels: readonly (Panel | dashboard.RowBuilder)[]
}): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(of.title)
    .uid(of.uid)
    .description(of.says)
    .tags(['hotcold'])
    .time({ from: of.from, to: 'now' })
    .refresh('30s')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .link(
      new dashboard.DashboardLinkBuilder('Hotcold')
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags(['hotcold'])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(new dashboard.DatasourceVariableBuilder('datasource').label('data source').type('prometheus'))
    .withVariable(labelVariable('app', 'label_values(conductor_roster_nodes, app)'))
  for (const variable of of.variables) builder.withVariable(variable)
  for (const { name, color, expr, title } of ANNOTATIONS) {
    builder.annotation(
      new dashboard.AnnotationQueryBuilder()
        .name(name)
        .datasource(SOURCE)
        .enable(true)
        .iconColor(color)
        .expr(expr)
        .titleFormat(title)
        .useValueForTime(true),
    )
  }
  for (const panel of of.panels) {
    if (panel instanceof dashboard.RowBuilder) builder.withRow(panel)
    else builder.withPanel(panel)
  }
  return builder.build()
}

export function row(title: string): dashboard.RowBuilder {
  return new dashboard.RowBuilder(title)
}

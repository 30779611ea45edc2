// Owns docs/metrics.md, printed from the registries of both programs: `npm run docs` writes it, a test tells when it is stale.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HISTORY_METRICS, PROCESS_METRICS, VIEW_METRICS } from '#conductor/core/metric-table.ts'
import { createConductorMetrics } from '#conductor/metrics.ts'
import { createMetrics } from '#puller/metrics.ts'
import { readings } from './daemon-readings.ts'
import { valuesOf } from './metric-labels.ts'
import { PROJECT } from './source.ts'

export const METRICS_DOC = 'docs/metrics.md'

export interface MetricFacts {
  readonly name: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  readonly buckets: readonly number[]
}

/** What prom-client keeps of a metric beside what its types tell. */
interface Registered {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
  readonly buckets?: readonly number[]
}

/** Every metric of both programs, as its registry knows it, in the order in which it is served. */
export function registeredMetrics(): readonly MetricFacts[] {
  const stopped = { now: () => 0, monotonic: () => 0 }
  const conductor = createConductorMetrics({ app: 'web', startedMs: 0, readings: readings() })
  return [conductor.registry, createMetrics(stopped).registry].flatMap((registry) => {
    const metrics: readonly unknown[] = registry.getMetricsAsArray()
    return metrics.map((metric) => {
      const { name, help, labelNames, buckets = [] } = metric as Registered
      // The short form of a class name is what prom-client itself answers with as its type.
      const type = (metric as object).constructor.name.toLowerCase() as MetricFacts['type']
      return { name, type, help, labels: labelNames, buckets }
    })
  })
}

/** The unit that a name ends with; a plain number of something where it names none. */
export function unitOf(name: string): string {
  const unit = /_(seconds|bytes|ratio|info)(_total)?$/.exec(name)?.[1]
  if (unit === 'ratio') return '0 … 1'
  if (unit === 'info') return '1'
  return unit ?? 'number'
}

/** The labels of a histogram's buckets are its own. */
function rows(metrics: readonly MetricFacts[]): readonly string[] {
  const cells = ({ name, type, help, labels }: MetricFacts) =>
    `| \`${name}\` | ${type} | ${unitOf(name)} | ${labels.join(', ')} | ${help} |`
  return ['| metric | type | unit | labels | meaning |', '| --- | --- | --- | --- | --- |', ...metrics.map(cells), '']
}

function labelRows(metrics: readonly MetricFacts[]): readonly string[] {
  const found = new Map<string, { readonly label: string; readonly says: string; readonly metrics: string[] }>()
  for (const { name, labels } of metrics) {
    for (const label of labels) {
      const says = valuesOf(name, label)?.says ?? ''
      const entry = found.get(`${label} ${says}`) ?? { label, says, metrics: [] }
      entry.metrics.push(`\`${name}\``)
      found.set(`${label} ${says}`, entry)
    }
  }
  const names = (all: readonly string[]) => (all.length > 4 ? `${all.length} metrics` : all.join(', '))
  return ['| label | values | on |', '| --- | --- | --- |']
    .concat([...found.values()].map(({ label, says, metrics: on }) => `| \`${label}\` | ${says} | ${names(on)} |`))
    .concat('')
}

/** The whole page. */
export function metricsDoc(): string {
  const all = registeredMetrics()
  const of = (table: object) => all.filter(({ name }) => Object.hasOwn(table, name))
  return [
    '# Metrics',
    '',
    'Printed from the registries of both programs by `npm run docs`: do not edit.',
    '',
    'Names begin with the program and end with the unit; counters end in `_total`. Every label has few values; what names a build or a rollout',
    'stands on `_info` metrics only, which have one series for each ring or node at a time. App, ring and node of a puller are labels of the scrape:',
    '[dashboards/prometheus.yml](../dashboards/prometheus.yml) shows one. The dashboards and alert rules in `dashboards/` use nothing but these.',
    '',
    '## Conductor: the view',
    '',
    'The same view as `conduct status --json`. All of one scrape is of one view, so that in each ring the states of `conductor_nodes` and the phases',
    'of `conductor_phase_nodes` sum to `conductor_roster_nodes`, always. While Consul is away the last view stays; `conductor_view_age_seconds` tells',
    'its age. Conductors that do not lead may show the view too: take the maximum over instances.',
    '',
    ...rows(of(VIEW_METRICS)),
    '## Conductor: the history',
    '',
    'Counted from the entries of the history, from the first one on. A conductor shows nothing of this before it has read all of it, and then it shows',
    'the same values as any other that has: neither a restart nor a take-over resets them, and what happened while no daemon ran is in them.',
    'A value falls only when entries are gone, as after a Consul that was restored from a snapshot; Prometheus then takes the whole value for an',
    'increase. With several conductors take the maximum over instances, never the sum.',
    '',
    'The four DORA figures, of the ring that serves users: **deploy frequency** is the increase of `conductor_deploys_total`. **Lead time** is',
    '`conductor_lead_time_seconds`: it begins at the publication, because a commit is known by its name only. **Change failure rate** is deploys that ended',
    '`rolledBack`, and `conductor_reverted_deploys_total`, of all deploys. **Time to restore** is `conductor_time_to_restore_seconds`: it begins when the',
    'first node was ordered to run the build that failed, so it is the longest time that users can have met it. A release of the build that runs already is no',
    'deploy; `rollback --to` is none either, and takes back the deploy that ran.',
    '',
    ...rows(of(HISTORY_METRICS)),
    '## Conductor: the process',
    '',
    'Of this process since its start: a restart begins at zero, as Prometheus expects of a counter.',
    '',
    ...rows(of(PROCESS_METRICS)),
    '## Puller',
    '',
    'Served at `/metrics` of `metrics.listen`. Bytes that a deploy saved are `puller_kept_bytes_total` and `puller_copied_bytes_total`: they were',
    'on the node already. How long a rollback took on a node is `puller_move_seconds` with outcome `back` or `reverted`.',
    '',
    ...rows(all.filter(({ name }) => name.startsWith('puller_'))),
    '## Labels',
    '',
    ...labelRows(all),
  ].join('\n')
}

if (import.meta.main) writeFileSync(join(PROJECT, METRICS_DOC), metricsDoc())

// Owns the proof of dashboards and alert rules without a server: files that are fresh, and names that exist.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { dashboardFiles } from '#dashboards/write.ts'
import {
  ALERT_TESTS_FILE,
  alertExpressions,
  alertRules,
  dashboardQueries,
  filledIn,
  groupingLabelsIn,
  selectorsIn,
  variableQueries,
} from '#test/support/dashboards.ts'
import { valuesOf } from '#test/support/metric-labels.ts'
import { registeredMetrics } from '#test/support/metrics-doc.ts'
import { filesMatching, readText } from '#test/support/source.ts'

const metrics = new Map(registeredMetrics().map((metric) => [metric.name, metric]))
const histograms = new Set([...metrics.values()].filter(({ type }) => type === 'histogram').map(({ name }) => name))
/** Of a scrape: dashboards/prometheus.yml. */
const SCRAPED = ['instance', 'job', 'app', 'ring']

const all = () => [...dashboardQueries(), ...variableQueries(), ...alertExpressions()]

test('the dashboards are printed from code, each file and no other', () => {
  for (const [path, text] of Object.entries(dashboardFiles())) assert.equal(readText(path), text, 'stale: npm run docs')
  assert.deepEqual(filesMatching('dashboards/*.json'), Object.keys(dashboardFiles()).toSorted())
})

test('every metric, label and label value that a dashboard or a rule names exists', () => {
  assert.ok(all().length > 100, 'expressions were found')
  for (const { where, expr } of all()) {
    const selectors = selectorsIn(expr, histograms)
    assert.ok(selectors.length > 0 || /\bup\{/.test(expr), `${where} asks for something of ours`)
    for (const { metric, matchers } of selectors) {
      const known = metrics.get(metric)
      assert.ok(known !== undefined, `${where}: there is no ${metric}`)
      for (const { label, operator, value } of matchers) {
        assert.ok([...known.labels, ...SCRAPED].includes(label), `${where}: ${metric} has no label ${label}`)
        if (operator.includes('~') || value.startsWith('$') || SCRAPED.includes(label)) continue
        assert.ok(valuesOf(metric, label)?.isOne(value), `${where}: ${metric}{${label}} is never ${value}`)
      }
    }
    const labels = new Set(['le', ...SCRAPED, ...selectors.flatMap(({ metric }) => metrics.get(metric)?.labels ?? [])])
    for (const label of groupingLabelsIn(expr)) assert.ok(labels.has(label), `${where}: nothing has a label ${label}`)
  }
})

test('the other way round: every metric stands in a dashboard or a rule', () => {
  const named = new Set(all().flatMap(({ expr }) => selectorsIn(expr, histograms).map(({ metric }) => metric)))
  // The number that an entry has tells an operator nothing; it is there for whoever doubts that a conductor has read the history.
  named.add('conductor_history_entries')
  assert.deepEqual(
    [...metrics.keys()].filter((name) => !named.has(name)),
    [],
  )
})

test('the check bites: a metric, a label, a value and a grouping that do not exist are noticed', () => {
  const [one] = selectorsIn('rate(puller_move_seconds_bucket{outcome="sideways"}[5m])', histograms)
  assert.deepEqual(one, {
    metric: 'puller_move_seconds',
    matchers: [{ label: 'outcome', operator: '=', value: 'sideways' }],
  })
  assert.equal(valuesOf('puller_move_seconds', 'outcome')?.isOne('sideways'), false)
  assert.equal(metrics.has(selectorsIn('conductor_nodez', histograms)[0]?.metric ?? ''), false)
  assert.deepEqual(groupingLabelsIn('sum by (le, rign) (x) * on (app) group_left (build) y'), [
    'le',
    'rign',
    'app',
    'build',
  ])
})

test('every variable that a dashboard uses is one of its own or of Grafana', () => {
  const own = { datasource: '', app: '', ring: '', instance: '', __rate_interval: '', __range: '', __range_s: '' }
  for (const { where, expr } of [...dashboardQueries(), ...variableQueries()]) {
    assert.doesNotMatch(filledIn(expr, own), /\$/, where)
  }
})

test('every alert says how bad it is, what happened and what to do, and has a unit test that sees it silent and firing', () => {
  const { tests } = parse(readText(ALERT_TESTS_FILE)) as {
    tests: readonly { promql_expr_test: readonly { expr: string; exp_samples: readonly unknown[] }[] }[]
  }
  const seen = tests.flatMap(({ promql_expr_test }) => promql_expr_test)
  for (const { alert, labels, annotations } of alertRules()) {
    assert.match(alert, /^Hotcold[A-Z]\w+$/)
    assert.ok(['page', 'warn', 'info'].includes(labels.severity ?? ''), alert)
    assert.ok((annotations.summary ?? '').length > 10 && (annotations.description ?? '').length > 20, alert)
    const about = seen.filter(({ expr }) => expr.includes(`"${alert}"`))
    assert.ok(
      about.some(({ exp_samples }) => exp_samples.length === 0),
      `${alert} is seen silent`,
    )
    assert.ok(
      about.some(({ exp_samples }) => exp_samples.length > 0),
      `${alert} is seen firing`,
    )
  }
})

test('a command that an alert names is a command', () => {
  const verbs = /`(?:conduct|puller) ([a-z]+)/g
  const known = filesMatching('conductor/cli/program*.ts').map(readText).join('')
  const planned: readonly string[] = []
  for (const { alert, annotations } of alertRules()) {
    for (const [whole, verb = ''] of (annotations.description ?? '').matchAll(verbs)) {
      if (whole.startsWith('`puller')) assert.ok(['verify', 'status'].includes(verb), `${alert}: ${whole}`)
      else assert.ok(planned.includes(verb) || new RegExp(`'${verb}\\b`).test(known), `${alert}: ${whole}`)
    }
  }
})

// Owns taking dashboards and alert rules apart: every expression in them, and what each names.
import { parse } from 'yaml'
import { dashboardFiles } from '#dashboards/write.ts'
import { readText } from './source.ts'

export const ALERTS_FILE = 'dashboards/alerts.yml'
export const ALERT_TESTS_FILE = 'dashboards/alerts.test.yml'

/** One expression, and where it stands: `fleet / Converged / A`, `alert HotcoldDrift`. */
export interface Expression {
  readonly where: string
  readonly expr: string
  /** Asked for one moment; else for a time. */
  readonly instant: boolean
}

interface Page {
  readonly panels: readonly {
    readonly type: string
    readonly title: string
    readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly instant?: boolean }[]
  }[]
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] }
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
}

function pages(): readonly [name: string, page: Page][] {
  return Object.entries(dashboardFiles()).map(([path, text]) => [
    /(\w+)\.json$/.exec(path)?.[1] ?? path,
    JSON.parse(text) as Page,
  ])
}

/** Of every panel and annotation. */
export function dashboardQueries(): readonly Expression[] {
  return pages().flatMap(([name, { panels, annotations }]) => [
    ...panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ refId, expr, instant }) => {
        return { where: `${name} / ${title} / ${refId}`, expr, instant: instant === true }
      }),
    ),
    ...annotations.list.map((one) => ({ where: `${name} / ${one.name}`, expr: one.expr, instant: false })),
  ])
}

/** What variables take their values from: the selector and the label. */
export function variableQueries(): readonly (Expression & { readonly label: string })[] {
  return pages().flatMap(([name, { templating }]) =>
    templating.list.flatMap(({ name: variable, definition = '' }) => {
      const [, expr = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? []
      return expr === '' ? [] : [{ where: `${name} / $${variable}`, expr, label, instant: true }]
    }),
  )
}

export interface AlertRule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export function alertRules(): readonly AlertRule[] {
  const file = parse(readText(ALERTS_FILE)) as { groups: readonly { rules: readonly AlertRule[] }[] }
  return file.groups.flatMap(({ rules }) => rules)
}

export function alertExpressions(): readonly Expression[] {
  return alertRules().map(({ alert, expr }) => ({ where: `alert ${alert}`, expr, instant: true }))
}

/** As Grafana would ask: its variables filled in. */
export function filledIn(expr: string, values: Readonly<Record<string, string>>): string {
  return expr.replace(/\$(\w+)/g, (whole, name: string) => values[name] ?? whole)
}

/** A selector of ours in an expression: the metric, without what a histogram adds to its name, and its matchers. */
export interface Selector {
  readonly metric: string
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[]
}

const SELECTOR = /\b((?:puller|conductor)_\w+)\b(?:\{([^}]*)\})?/g
const MATCHER = /(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g

export function selectorsIn(expr: string, histograms: ReadonlySet<string>): readonly Selector[] {
  return [...expr.matchAll(SELECTOR)].map(([, name = '', inside = '']) => {
    const base = name.replace(/_(bucket|sum|count)$/, '')
    const matchers = [...inside.matchAll(MATCHER)].map(([, label = '', operator = '', value = '']) => {
      return { label, operator, value }
    })
    return { metric: histograms.has(base) ? base : name, matchers }
  })
}

/** Labels that an expression sums by, joins on or brings along. */
export function groupingLabelsIn(expr: string): readonly string[] {
  return [...expr.matchAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g)].flatMap(
    ([, inside = '']) =>
      inside
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''),
  )
}

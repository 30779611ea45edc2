// Owns the proof that dashboards and alerts work: promtool takes every expression, and after real rollouts a real Prometheus answers them.
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { run as inThisProcess } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import {
  ALERT_TESTS_FILE,
  ALERTS_FILE,
  alertExpressions,
  dashboardQueries,
  type Expression,
  filledIn,
  variableQueries,
} from '#test/support/dashboards.ts'
import { run } from '#test/support/fleet.ts'
import { valuesOf } from '#test/support/metric-labels.ts'
import { registeredMetrics } from '#test/support/metrics-doc.ts'
import { PROMTOOL_BINARY, type PrometheusServer } from '#test/support/prometheus.ts'
import { samplesIn } from '#test/support/scrape.ts'
import { PROJECT } from '#test/support/source.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'
import { startWatchedFleet } from '#test/support/watched-fleet.ts'

/** What Grafana would put in: an hour that begins before the fleet did. */
const VARIABLES = {
  app: 'web',
  ring: 'production',
  instance: '.*',
  __rate_interval: '5s',
  __range: '1h',
  __range_s: '3600',
}

/** Queries that rightly have no answer in a fleet where nothing is wrong, or without a part that is not started here. */
const SILENT: Readonly<Record<string, string>> = {
  'fleet / Keys that hold no order of the conductor / A': 'nobody writes to the keys by hand',
  'fleet / Troubles / A': 'no node reports a trouble',
  'fleet / Requests to the store / A': 'the conductor of this test publishes nothing',
  'rollout / Waits for / A': 'no rollout is open when they are asked',
  'rollout / Next slot / A': 'no calendar is set up',
  'rollout / Slots / B': 'no slot was skipped',
  'node / Troubles / A': 'no node reports a trouble',
}

test('promtool takes every expression of the dashboards as a recording rule, and the alert rules pass their unit tests', async (t) => {
  const dir = await tmp(t, 'rules')
  const rules = [...dashboardQueries(), ...variableQueries()].map(({ where, expr }, at) => {
    return { record: `hotcold:query:${at}`, expr: filledIn(expr, VARIABLES), labels: { stands: where } }
  })
  await writeFile(join(dir, 'queries.yml'), stringify({ groups: [{ name: 'queries', rules }] }))
  const checked = await run([PROMTOOL_BINARY, 'check', 'rules', join(dir, 'queries.yml'), ALERTS_FILE], {
    cwd: PROJECT,
  })
  assert.equal(checked.code, 0, checked.stdout + checked.stderr)
  assert.match(checked.stdout, new RegExp(`SUCCESS: ${rules.length} rules found`))
  const tested = await run([PROMTOOL_BINARY, 'test', 'rules', ALERT_TESTS_FILE], { cwd: PROJECT })
  assert.equal(tested.code, 0, tested.stdout + tested.stderr)
  const bad = { groups: [{ name: 'bad', rules: [{ record: 'x', expr: 'sum by (app) (conductor_nodes' }] }] }
  await writeFile(join(dir, 'bad.yml'), stringify(bad))
  assert.notEqual((await run([PROMTOOL_BINARY, 'check', 'rules', join(dir, 'bad.yml')])).code, 0, 'promtool does look')
})

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value?: readonly [number, string]
  readonly values?: readonly (readonly [number, string])[]
}

interface FiredAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** What Prometheus answers, as Grafana would ask: now, or over the last minute. */
async function ask({ url }: PrometheusServer, { where, expr, instant }: Expression): Promise<readonly Series[]> {
  const now = Date.now() / 1_000
  const range = `&start=${now - 60}&end=${now}&step=1`
  const query = encodeURIComponent(filledIn(expr, VARIABLES))
  const answer = await fetch(`${url}/api/v1/query${instant ? `?query=${query}` : `_range?query=${query}${range}`}`)
  const body = (await answer.json()) as { status: string; error?: string; data: { result: readonly Series[] } }
  assert.equal(body.status, 'success', `${where}: ${body.error}`)
  return body.data.result
}

/** Series that hold a figure: a quantile of nothing is NaN, and tells nobody anything. */
function figures(series: readonly Series[]): readonly Series[] {
  return series.filter(({ value, values = [] }) =>
    [...(value ? [value] : []), ...values].some(([, said]) => said !== 'NaN'),
  )
}

test('after real rollouts, forward and back, every query of every dashboard returns data, and what goes wrong then makes its alert true', async (t) => {
  const consul = await startConsul(t)
  const dir = await tmp(t, 'watched')
  const store = { url: `file://${join(dir, 'store')}` }
  await mkdir(join(dir, 'store'))
  const conductor = { plan: [{ ring: 'production', soakSeconds: 3 }] }
  const watched = await startWatchedFleet(t, { consulUrl: consul.url, store, nodes: 2, octet: 93, conductor })
  const { fleet, prometheus } = watched
  const source = join(dir, 'source')
  await mkdir(source)
  const conduct = async (...args: readonly string[]): Promise<void> => {
    const said = await inThisProcess(args, { HOTCOLD_CONFIG: fleet.configFile }, fleet.dir).end
    assert.equal(said.code, 0, `conduct ${args.join(' ')}: ${said.stderr}`)
  }
  const publish = async (build: string): Promise<void> => {
    for (let at = 0; at < 8; at += 1) await writeFile(join(source, `file-${at}`), `${at}\n`.repeat(1_000))
    await writeFile(join(source, 'BUILD'), build)
    await conduct('publish', source, '--build', build)
  }
  const value = async (expr: string): Promise<string | undefined> => {
    const [first] = await ask(prometheus, { where: expr, expr, instant: true })
    return first?.value?.[1]
  }
  // Figures are compared with what was before: Prometheus must have seen that.
  await until(
    'the empty fleet was scraped',
    async () => (await value('conductor_deploys_total{outcome="done"}')) === '0',
    30_000,
  )
  await until('its pullers too', async () => (await value('count(puller_armed)')) === '2', 30_000)
  const simple = join(dir, 'simple.yaml')
  await writeFile(simple, stringify({ plan: [{ ring: 'production' }] }))
  await publish('A')
  await conduct('release', 'A', '--config', simple, '--app', 'web', '--consul', consul.url)
  // An increase is what came after a first sample.
  const swapped = 'sum(puller_swaps_total{outcome="swapped"})'
  await until('the first deploy was scraped', async () => (await value(swapped)) === '2', 30_000)
  await publish('B')
  // It soaks, so that a scrape sees it wait.
  await conduct('release', 'B')
  await conduct('rollback')
  const over = 'conductor_rollouts_total{outcome="rolledBack"} - on (app) conductor_rollout_open'
  await until('the end of the rollback was scraped', async () => (await value(over)) === '1', 30_000)
  await until(
    'both nodes are armed to go forward again',
    async () => (await value('sum(puller_armed)')) === '2',
    30_000,
  )
  const back = 'sum(puller_move_seconds_count{outcome="back"})'
  await until('both said that they went back', async () => (await value(back)) === '2', 30_000)

  await t.test('every query returns data, but for those that are listed with the reason', async () => {
    const empty = async () => {
      const answers = await Promise.all(
        [...dashboardQueries(), ...variableQueries()].map(async (one) => {
          return { where: one.where, some: figures(await ask(prometheus, one)).length > 0 }
        }),
      )
      return answers.filter(({ some }) => !some).map(({ where }) => where)
    }
    // A scrape of each exporter is a second away at most, and a rate needs two.
    const settled = async () => (await empty()).length === Object.keys(SILENT).length
    await until('the last of it was scraped', settled, 15_000).catch(() => undefined)
    assert.deepEqual((await empty()).toSorted(), Object.keys(SILENT).toSorted())
  })

  await t.test('the four figures are those of what happened', async () => {
    const of = async (expr: string) => Number(await value(expr))
    assert.equal(await of('sum(conductor_deploys_total{ring="production"})'), 2, 'A and B')
    assert.equal(await of('conductor_reverted_deploys_total{ring="production"}'), 1, 'B was taken back')
    assert.equal(await of('conductor_rollouts_total{outcome="rolledBack"}'), 1)
    assert.equal(await of('conductor_lead_time_seconds_count{ring="production"}'), 2)
    assert.equal(await of('conductor_time_to_restore_seconds_count{ring="production"}'), 1)
    assert.equal(await of(back), 2, 'both nodes went back once')
    const rate = dashboardQueries().find(({ where }) => where === 'dora / Change failure rate / A')
    assert.ok(rate !== undefined)
    const [{ value: [, said] = [] } = {}] = await ask(prometheus, rate)
    assert.ok(Math.abs(Number(said) - 1 / 2) < 0.01, `one of two deploys: ${said}`)
  })

  await t.test('each label of each sample says what the list of metrics says it may', async () => {
    const texts = await Promise.all(
      [watched.url, 'http://127.93.0.1:9464/metrics'].map(async (url) => (await fetch(url)).text()),
    )
    const histograms = registeredMetrics().filter(({ type }) => type === 'histogram')
    for (const { name, labels } of texts.flatMap(samplesIn)) {
      const base = name.replace(/_(bucket|sum|count)$/, '')
      const metric = histograms.some((one) => one.name === base) ? base : name
      for (const [label, said] of Object.entries(labels)) {
        if (label !== 'le') assert.ok(valuesOf(metric, label)?.isOne(said), `${name}{${label}="${said}"}`)
      }
    }
  })

  await t.test('promtool finds nothing to say about the names', async () => {
    for (const url of [watched.url, 'http://127.93.0.1:9464/metrics']) {
      const file = join(dir, 'metrics.txt')
      await writeFile(file, await (await fetch(url)).text())
      const linted = await run(['sh', '-c', '"$1" check metrics < "$2"', 'sh', PROMTOOL_BINARY, file])
      assert.equal(linted.code, 0, linted.stdout + linted.stderr)
      assert.equal(linted.stdout + linted.stderr, '')
    }
  })

  /** Alerts whose expression is true now, whatever time it must stay so. */
  const trueNow = async (): Promise<readonly string[]> => {
    const answers = await Promise.all(
      alertExpressions().map(async (one) => ({ where: one.where, some: (await ask(prometheus, one)).length > 0 })),
    )
    return answers.filter(({ some }) => some).map(({ where }) => where.replace('alert ', ''))
  }

  await t.test('in a fleet that is well no alert is true but the one that tells of the rollback', async () => {
    assert.deepEqual(await trueNow(), ['HotcoldRolledBack'])
    const fired = async () => {
      const answer = await fetch(`${prometheus.url}/api/v1/alerts`)
      const { data } = (await answer.json()) as { data: { alerts: readonly FiredAlert[] } }
      return data.alerts.find(({ labels }) => labels.alertname === 'HotcoldRolledBack')
    }
    const { annotations } = await until('Prometheus fires it', fired, 15_000)
    assert.equal(annotations.summary, 'A rollout of web was rolled back', 'its words are filled in')
  })

  await t.test(
    'a puller that is stopped, a foreign order, a line that is held: each makes its alert true',
    async () => {
      const [, second] = fleet.nodes
      assert.ok(second)
      await second.stop('SIGTERM')
      await conduct('hold', '--reason', 'database upgrade')
      await consul.kv.put('hotcold/v1/web/production/target', 'A')
      const expected = ['HotcoldForeignOrder', 'HotcoldLineHeldLong', 'HotcoldNodesSilent', 'HotcoldPullerDown']
      const all = async () => {
        const found = await trueNow()
        return expected.every((name) => found.includes(name))
      }
      await until(`${expected.join(', ')} are true`, all, 30_000).catch(async (error: unknown) => {
        throw new Error(`true are only ${(await trueNow()).join(', ')}`, { cause: error })
      })
    },
  )
})

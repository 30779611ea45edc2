// Owns the proof of gates on a real Prometheus: a build whose errors rise is taken back, without data a rollout waits and says so by name.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { stringify } from 'yaml'
import type { GateMark } from '#fleet/gate.ts'
import { type Conducting, conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { type Exporter, type PrometheusServer, startExporter, startPrometheus } from '#test/support/prometheus.ts'
import { A, B, C } from '#test/support/rollout-sim.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

interface Scene {
  readonly fleet: Conducting
  readonly exporter: Exporter
  readonly prometheus: PrometheusServer
  /** Options of `conduct release` with these gates. */
  config(gates: readonly object[]): Promise<readonly string[]>
}

interface Told {
  readonly event: string
  readonly at: string
  readonly facts: Readonly<Record<string, unknown>>
}

async function begin(t: TestContext, rings: readonly string[] = ['production']): Promise<Scene> {
  const { url } = await startConsul(t)
  const exporter = await startExporter(t, url)
  const prometheus = await startPrometheus(t, [exporter])
  const fleet = await conducting(t, { url, nodes: 3, rings })
  const dir = await tmp(t, 'gates')
  await fleet.publish(A)
  await until('the nodes report', async () => {
    return (await fleet.conduct('status')).stdout.match(/3 nodes/g)?.length === rings.length
  })
  assert.equal((await fleet.conduct('release')).code, 0)
  let configs = 0
  return {
    fleet,
    exporter,
    prometheus,
    config: async (gates) => {
      configs += 1
      const path = join(dir, `hotcold-${configs}.yaml`)
      await writeFile(path, stringify({ app: 'web', rings, maxUnavailable: '40%', gates }))
      return ['--timeout', '100s', '--config', path]
    },
  }
}

const share = (labels: string) =>
  `sum(rate(web_errors_total{${labels}}[5s])) / sum(rate(web_requests_total{${labels}}[5s]))`
const errors = (prometheus: PrometheusServer, more: object) => ({
  name: 'errors',
  prometheus: prometheus.url,
  query: share('build="{{build}}",node=~"{{nodes}}"'),
  intervalSeconds: 1,
  ...more,
})

async function historyOf(fleet: Conducting): Promise<readonly Told[]> {
  const { stdout } = await fleet.conduct('history', '--json', '--limit', '200')
  return (JSON.parse(stdout) as { history: Told[] }).history
}

test('a build that is healthy but fails requests is taken back by its gate, and the history keeps the samples', async (t) => {
  const { fleet, exporter, prometheus, config } = await begin(t)
  const typo = { ...errors(prometheus, { max: 1, onNoData: 'pass' }), name: 'typo', query: 'web_erors_total' }
  const flags = await config([errors(prometheus, { max: 0.1 }), typo])
  await exporter.say({ errors: { [A]: 0.02, [B]: 0.02, [C]: 0.6 } })
  await fleet.publish(B)
  const good = await fleet.conduct('release', B, ...flags)
  assert.equal(good.code, 0, good.stdout + good.stderr)
  assert.ok(fleet.nodes.every(({ hot }) => hot === B))
  const ends = (told: readonly Told[]) =>
    told.find(({ event, facts }) => event === 'gate-judged' && facts.gate === 'errors' && facts.end === true)
  const passed = ends(await historyOf(fleet))
  assert.equal(passed?.facts.verdict, 'pass')
  const rows = passed?.facts.samples as readonly (readonly (number | string)[])[]
  assert.ok(
    rows.some((row) => row.length === 4 && Math.abs(Number(row[3]) - 0.02) < 0.001),
    JSON.stringify(rows),
  )

  await fleet.publish(C)
  const bad = await fleet.conduct('release', C, ...flags)
  assert.equal(bad.code, 1)
  assert.match(bad.stdout, /^c-build was rolled back, after .*: errors: 0\.\d+ is above the limit of 0\.1\.$/m)
  assert.ok(fleet.nodes.every(({ hot }) => hot === B))
  assert.ok(fleet.nodes.filter(({ swaps }) => swaps > 2).length < 3, 'not all of the ring met it')
  const told = (await historyOf(fleet)).filter(({ facts }) => facts.rollout !== passed?.facts.rollout)
  const fail = ends(told)
  assert.equal(fail?.facts.verdict, 'fail')
  const said = told.filter(({ event, facts }) => event === 'gate-judged' && facts.gate === 'errors')
  assert.equal(
    said.filter(({ facts }) => facts.verdict === 'fail').length,
    1,
    'the failure is told once, with its samples',
  )
  const turned = told.find(({ event }) => event === 'rollback-begun')
  const lastMs = Date.parse(turned?.at ?? '') - Date.parse(fail?.at ?? '')
  assert.equal(lastMs, 0, 'the samples are kept in the transaction that turned it back')
  const refused = await fleet.conduct('release', C, ...flags)
  assert.match(refused.stderr, /c-build is under quarantine by conduct: errors: 0\.\d+ is above the limit of 0\.1/)

  const stricter = await config([errors(prometheus, { max: 0.01 }), typo])
  const replayed = await fleet.conduct('gate', 'backtest', ...stricter.slice(2))
  assert.equal(replayed.code, 0, replayed.stderr)
  assert.match(replayed.stdout, /^errors: 1 stage would fail that did not then in 2 rollouts\.$/m)
  assert.match(replayed.stdout, /c-build +rolledBack +production 100% +fail +fail +0\.\d+ is above the limit of 0\.01/)
  assert.match(replayed.stdout, /b-build +done +production 100% +pass +fail +0\.02\d* is above the limit of 0\.01/)
  assert.match(replayed.stdout, /^typo never had data in 2 rollouts: look at its query, it protects nobody\.$/m)
  const one = await fleet.conduct('gate', 'backtest', 'typo', '--json', ...stricter.slice(2))
  const { gates } = JSON.parse(one.stdout) as { gates: { gate: string; neverHadData: boolean }[] }
  assert.deepEqual(
    gates.map(({ gate, neverHadData }) => [gate, neverHadData]),
    [['typo', true]],
  )
  const fresh = { ...errors(prometheus, { ratio: { to: 'old', max: 0.5 }, intervalSeconds: 0.2 }), name: 'fresh' }
  const unasked = await config([fresh])
  assert.match((await fleet.conduct('gate', 'backtest', ...unasked.slice(2))).stdout, /^fresh: nothing of it was kept/m)
  const asked = await fleet.conduct('gate', 'backtest', '--live', ...unasked.slice(2))
  assert.match(
    asked.stdout,
    /b-build +done +production 100% +- +fail +0\.0\d+ is above 0\.5 times the 0\.0\d+ of the old/,
  )
  const unknown = await fleet.conduct('gate', 'backtest', 'eror', ...stricter.slice(2))
  assert.equal(unknown.code, 2)
  assert.match(unknown.stderr, /the config has no gate eror, there are errors and typo/)
  assert.match(
    (await fleet.conduct('history')).stdout,
    /gate errors in production \(100 %\) says fail: 0\.\d+ is above/,
  )
})

test('without data the rollout waits, status says by name which gate has none, and it goes on once there is', async (t) => {
  const { fleet, exporter, prometheus, config } = await begin(t)
  const flags = await config([errors(prometheus, { ratio: { to: 'old', max: 2, atLeast: 0.01 } })])
  await exporter.say({ mute: [B] })
  await fleet.publish(B)
  const running = fleet.start('release', B, ...flags)
  t.after(() => running.interrupt())
  const status = await until('it says that there is no data', async () => {
    const { stdout } = await fleet.conduct('status')
    return stdout.includes('the query has no samples') ? stdout : null
  })
  assert.match(status, /^ {2}Gates: errors inconclusive\.$/m)
  assert.match(status, /^ {2}Errors: the query has no samples\.$/m)
  assert.ok(
    fleet.nodes.some(({ hot }) => hot === A),
    'nobody further is asked to run it',
  )
  const { rollout } = JSON.parse((await fleet.conduct('status', '--json')).stdout) as {
    rollout: { because: { code: string; message: string }[]; gates: GateMark[] }
  }
  assert.deepEqual(rollout.because, [{ code: 'gate-inconclusive', message: 'errors: the query has no samples' }])
  assert.deepEqual(
    rollout.gates.map(({ gate, verdict, reason }) => [gate, verdict, reason]),
    [['errors', 'inconclusive', 'no-samples']],
  )
  await exporter.say({})
  const { code, stdout } = await running.end
  assert.equal(code, 0, stdout)
  assert.ok(fleet.nodes.every(({ hot }) => hot === B))
})

test('a Prometheus that hangs holds the rollout and not its driver: a rollback is answered at once', async (t) => {
  const { fleet, prometheus, config } = await begin(t)
  const flags = await config([errors(prometheus, { max: 0.1, timeoutSeconds: 30 })])
  await fleet.publish(B)
  await prometheus.pause()
  const running = fleet.start('release', B, ...flags)
  t.after(() => running.interrupt())
  await until('a node runs it', () => fleet.nodes.some(({ hot }) => hot === B))
  await until('it waits', () => running.stderr().includes('errors: it has not answered yet'))
  const back = await fleet.conduct('rollback')
  assert.equal(back.code, 0, back.stderr)
  assert.ok(fleet.nodes.every(({ hot }) => hot === A))
  const { code, stderr } = await running.end
  assert.equal(code, 1)
  assert.doesNotMatch(stderr, /waiting for its session to end/, 'the driver itself turned back')
})

test('a figure far from those of the last good rollouts is taken back by its z-score', async (t) => {
  const { fleet, exporter, prometheus, config } = await begin(t)
  const slow = {
    ...errors(prometheus, { zscore: { max: 3, over: 10, atLeast: 0.5 } }),
    name: 'slow',
    query: 'web_seconds',
  }
  const shows = async (value: number) => {
    await exporter.say({ gauges: { web_seconds: String(value) } })
    await until(`Prometheus knows ${value}`, async () => {
      const answer = await fetch(`${prometheus.url}/api/v1/query?query=web_seconds`)
      return (await answer.text()).includes(`"${value}"]`)
    })
  }
  const quick = { ...slow, intervalSeconds: 0.2 }
  // Until three good rollouts have figures there is nothing to compare with: somebody has to say that this passes.
  const young = await config([{ ...quick, onNoData: 'pass' }])
  for (const [build, seconds] of [
    [B, 10],
    [A, 11],
    [B, 9],
  ] as const) {
    await shows(seconds)
    if (seconds === 10) await fleet.publish(B)
    const { code, stdout } = await fleet.conduct('release', build, ...young)
    assert.equal(code, 0, stdout)
  }
  await fleet.publish(C)
  await shows(14)
  const bad = await fleet.conduct('release', C, ...(await config([quick])))
  assert.equal(bad.code, 1)
  assert.match(bad.stdout, /slow: 14 is above 3 deviations \(of 1\) over the 10 of 3 good rollouts\.$/m)
})

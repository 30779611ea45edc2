// Owns the proof that daemons take over from each other on a real Consul: killed, frozen or stopped in mid-rollout, no stage is skipped or repeated.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { freeze } from '#test/support/child.ts'
import { B } from '#test/support/rollout-sim.ts'
import { type DaemonProcess, servingProcess } from '#test/support/serving.ts'
import { RINGS, threeRings } from '#test/support/three-rings.ts'
import { until } from '#test/support/until.ts'
import { SOAK_SECONDS } from '#test/takeover/points.ts'
import { proved, type Scene } from '#test/takeover/scene.ts'
import { watch } from '#test/takeover/watcher.ts'

const SOAKS = { soakSeconds: SOAK_SECONDS }
const PLAN = [
  { ring: 'staging', smoke: ['sh', './smoke.sh'], ...SOAKS },
  { ring: 'canary', ...SOAKS },
  { ring: 'production', shares: [25, 50, 100], ...SOAKS },
]

interface Pair {
  readonly scene: Scene
  /** The one that leads, and the one that waits. */
  readonly first: DaemonProcess
  readonly second: DaemonProcess
}

/** Two daemons of one app; the first leads, and has begun to release B. */
async function pair(t: TestContext): Promise<Pair> {
  const { fleet, url } = await threeRings(t, { plan: PLAN, smoke: 'exit 0\n' })
  const witness = await watch(t, url, RINGS)
  const first = await servingProcess(t, { dir: fleet.dir, url }, '--by', 'one')
  await first.leads()
  const second = await servingProcess(t, { dir: fleet.dir, url }, '--by', 'two')
  await until('the second one is ready too', async () => (await second.get('/readyz')).status === 200)
  const { leads } = await second.json<{ leads: boolean }>('/readyz')
  assert.equal(leads, false, 'one leads')
  const expires = new Date(Date.now() + 60_000).toISOString()
  const request = { id: randomUUID(), verb: 'release', args: { build: B }, by: 'ana', expires, generations: {} }
  await fleet.ledger.ask(request, t.signal)
  return { scene: { fleet, url, witness }, first, second }
}

async function reached({ scene: { witness } }: Pair, label: string): Promise<void> {
  await until(`it comes to ${label}`, () => witness.labels.includes(label))
}

/** What a stranger saw of Consul is one whole rollout. */
async function whole({ scene }: Pair): Promise<void> {
  const labels = scene.witness.labels.filter((label) => !['led', 'request-answered'].includes(label))
  await proved({ ...scene, witness: { ...scene.witness, labels } }, 'good')
}

function tookMs(sinceMs: number): number {
  return Math.round(performance.now() - sinceMs)
}

/** Its session lives on for up to twice its TTL of 10 s. */
async function killed(t: TestContext): Promise<void> {
  const both = await pair(t)
  await reached(both, 'raise production 1 of 4')
  const struck = performance.now()
  await both.first.stop('SIGKILL')
  await both.second.leads()
  const ms = tookMs(struck)
  t.diagnostic(`led again ${ms} ms after the kill`)
  assert.ok(ms < 30_000, `${ms} ms`)
  await until('the rollout ends', () => both.scene.witness.labels.includes('ended'))
  await whole(both)
  const led = both.scene.witness.events.filter(({ event }) => event === 'led')
  assert.deepEqual(
    led.map(({ facts }) => [facts.holder?.toString().replace(/@.*/, ''), facts.build]),
    [
      ['one', null],
      ['two', B],
    ],
    'the history names who led, and what the second one found open',
  )
}

async function stopped(t: TestContext): Promise<void> {
  const both = await pair(t)
  await reached(both, 'raise canary 4 of 4')
  const asked = performance.now()
  const ended = both.first.stop('SIGTERM')
  await both.second.leads()
  const ms = tookMs(asked)
  t.diagnostic(`led again ${ms} ms after SIGTERM`)
  assert.ok(ms < 3_000, `${ms} ms`)
  assert.equal(await ended, 0)
  await until('the rollout ends', () => both.scene.witness.labels.includes('ended'))
  await whole(both)
}

async function frozen(t: TestContext): Promise<void> {
  const both = await pair(t)
  await reached(both, 'stage-converged staging 100')
  await freeze(both.first.child)
  await both.second.leads()
  await reached(both, 'raise production 1 of 4')
  both.first.child.kill('SIGCONT')
  await until('it knows that it leads no longer', () => both.first.lines().some(({ msg }) => msg === 'leads no longer'))
  await until('the rollout ends', () => both.scene.witness.labels.includes('ended'))
  await whole(both)
  const leads = async ({ get }: DaemonProcess) => {
    const answer = await get('/readyz')
    return answer.status === 200 ? ((await answer.json()) as { leads: boolean }).leads : null
  }
  await until('the first one is ready to follow', async () => (await leads(both.first)) === false)
  assert.equal(await leads(both.second), true)
}

test('two daemons of one app: the other one takes over, and no stage is skipped or repeated', {
  concurrency: 3,
}, async (t) => {
  await Promise.all([
    t.test('A23: the leading one is killed in mid-rollout: the other leads within 30 s', killed),
    t.test(
      'F6: the leading one is stopped in mid-rollout: it lets the lease go, and the other leads in less than 3 s',
      stopped,
    ),
    t.test(
      'A21: the leading one is frozen past its lease: the other goes on, and the first writes nothing more',
      frozen,
    ),
  ])
})

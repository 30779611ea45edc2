// Owns the proof of a plan on a real Consul: rings and shares one after the other, soaks, smoke tests, pre-staging, and going on after an interruption.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Conducting, conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, B } from '#test/support/rollout-sim.ts'
import { RINGS, threeRings } from '#test/support/three-rings.ts'
import { until } from '#test/support/until.ts'

interface Told {
  readonly event: string
  readonly facts: Readonly<Record<string, unknown>>
}

const PLAN = [
  { ring: 'staging', smoke: ['sh', './smoke.sh'] },
  { ring: 'canary', soakSeconds: 0.3 },
  { ring: 'production', shares: [25, 100], soakSeconds: 0.3 },
]

/** Oldest first, since the release of B began. */
async function told(fleet: Conducting): Promise<readonly Told[]> {
  const { stdout } = await fleet.conduct('history', '--json', '--limit', '200')
  const { history } = JSON.parse(stdout) as { history: Told[] }
  const began = history.findIndex(({ event, facts }) => event === 'release-begun' && facts.build === B)
  return history.slice(0, Math.max(0, began)).toReversed()
}

function journey(events: readonly Told[]): readonly string[] {
  return events.flatMap(({ event, facts }) => {
    if (event === 'ordered') return [`${facts.kind} ${facts.ring} ${facts.exposed} of ${facts.roster}`]
    return ['stage-converged', 'smoke-tested', 'stage-passed', 'held', 'rollback-begun', 'ended'].includes(event)
      ? [
          [event, facts.ring ?? facts.lastRing, facts.share ?? facts.lastShare]
            .filter((one) => one !== undefined)
            .join(' '),
        ]
      : []
  })
}

/** Everywhere good on A, with B published. The smoke test notes what it is told. */
async function begin(t: TestContext, plan: readonly object[] = PLAN): Promise<Conducting> {
  const { fleet } = await threeRings(t, { plan, smoke: 'env | grep ^HOTCOLD_ | sort >> smoked\n' })
  return fleet
}

const goodIn = async (fleet: Conducting, build: string): Promise<readonly string[]> => {
  const { builds } = JSON.parse((await fleet.conduct('builds', '--json')).stdout) as {
    builds: { build: string; good: Record<string, string> }[]
  }
  return Object.keys(builds.find((entry) => entry.build === build)?.good ?? {})
}

test('a release goes ring by ring and share by share; each soaks, is smoke-tested, and proves the build good where it passed', async (t) => {
  const fleet = await begin(t)
  const slow = fleet.nodes.find(({ name }) => name === 'production-2')
  assert.ok(slow)
  slow.stalled = true
  const running = fleet.start('release', B)
  await until('canary has passed and production waits for its node', async () => {
    return (await told(fleet)).some(({ event, facts }) => event === 'stage-passed' && facts.ring === 'canary')
  })
  assert.deepEqual(await goodIn(fleet, B), ['staging', 'canary'], 'before the rollout is over')
  slow.stalled = false
  const { code, stdout, stderr } = await running.end
  assert.equal(code, 0, stderr)
  assert.match(
    stdout,
    /Released b-build to staging: all 4 nodes .*\n.*to canary: all 4 nodes .*\n.*to production: all 4/,
  )
  assert.match(stderr, /stage 2 of 4, canary 100 %; /)
  const events = await told(fleet)
  assert.deepEqual(journey(events), [
    'stage staging 0 of 4',
    'stage canary 0 of 4',
    'raise staging 4 of 4',
    'stage-converged staging 100',
    'smoke-tested staging 100',
    'stage-passed staging 100',
    'stage production 0 of 4',
    'raise canary 4 of 4',
    'stage-converged canary 100',
    'stage-passed canary 100',
    'raise production 1 of 4',
    'stage-converged production 25',
    'stage-passed production 25',
    'raise production 4 of 4',
    'stage-converged production 100',
    'ended production 100',
  ])
  const passed = events.find(({ event, facts }) => event === 'stage-passed' && facts.ring === 'canary')
  assert.ok(Number(passed?.facts.seconds) >= 0.3, 'it soaked')
  assert.deepEqual(await goodIn(fleet, B), ['staging', 'canary', 'production'])
  const smoked = await readFile(join(fleet.dir, 'smoked'), 'utf8')
  for (const line of ['APP=web', 'RING=staging', `BUILD=${B}`, `PREVIOUS=${A}`, 'STAGE=1', 'SHARE=100']) {
    assert.ok(smoked.includes(`HOTCOLD_${line}\n`), `${line}: ${smoked}`)
  }
})

test('a smoke test that fails rolls back its ring and every ring that was staged ahead, and quarantines the build', async (t) => {
  const fleet = await begin(t)
  await writeFile(join(fleet.dir, 'smoke.sh'), 'echo "checkout answers 500"; exit 7\n')
  const failed = await fleet.conduct('release', B)
  assert.equal(failed.code, 1)
  assert.match(
    failed.stdout,
    /^b-build was rolled back, after .*: the smoke test of staging failed: exit 7: checkout answers 500\.$/m,
  )
  const orders = journey(await told(fleet)).filter((what) => /^(stage|raise|recall|close) /.test(what))
  assert.deepEqual(orders.toSorted(), [
    ...['close canary 4 of 4', 'close staging 4 of 4'],
    ...['raise staging 4 of 4', 'stage canary 0 of 4', 'stage staging 0 of 4'],
  ])
  for (const ring of RINGS) {
    const order = JSON.parse((await fleet.get(ring)) ?? '{}') as Record<string, unknown>
    assert.deepEqual([order.build, order.cutoff], [A, 2 ** 32], ring)
  }
  assert.ok(fleet.nodes.every(({ hot }) => hot === A))
  const again = await fleet.conduct('release', B)
  assert.equal(again.code, 3)
  assert.match(again.stderr, /b-build is under quarantine by conduct: the smoke test of staging failed/)
  assert.deepEqual(await goodIn(fleet, B), [])
})

test('a smoke test that cannot be started says nothing of the build: the rollout is held, and goes on when it can', async (t) => {
  const fleet = await begin(t, [{ ring: 'staging', smoke: ['./absent.sh'] }, ...PLAN.slice(1)])
  const held = JSON.parse((await fleet.conduct('release', '--json', B)).stdout) as {
    result: { exit: number; sentences: string[] }
    rollout: { hold: { code: string } }
  }
  assert.equal(held.result.exit, 1)
  assert.equal(held.rollout.hold.code, 'smoke-not-run')
  assert.match(held.result.sentences[0] ?? '', /On hold after .*cannot start \.\/absent\.sh in .* \(ENOENT\)/)
  assert.ok(
    fleet.nodes.every((node) => node.hot === (node.name.startsWith('staging') ? B : A)),
    'nothing went on or back',
  )
  await writeFile(join(fleet.dir, 'absent.sh'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  const resumed = await fleet.conduct('release', B, '--adopt')
  assert.equal(resumed.code, 0, resumed.stdout + resumed.stderr)
})

test('F6: a release that was stopped while it soaked goes on at the same stage: no order is repeated, and what soaked counts', async (t) => {
  const fleet = await begin(t, [{ ring: 'staging', soakSeconds: 2 }, ...PLAN.slice(1)])
  const running = fleet.start('release', B)
  await until('it soaks', async () => (await told(fleet)).some(({ event }) => event === 'stage-converged'))
  running.interrupt()
  await running.end
  const status = await fleet.conduct('status')
  assert.match(status.stdout, /is soaking at staging 100 % \(stage 1 of 4\)/)
  assert.match(status.stdout, /Staging soaks at 100 %: [12]\.0 s of 2\.0 s left/)
  const before = journey(await told(fleet))
  const resumed = await fleet.conduct('release', B)
  assert.equal(resumed.code, 0, resumed.stderr)
  const after = journey(await told(fleet))
  assert.deepEqual(after.slice(0, before.length), before)
  assert.equal(after[before.length], 'stage-passed staging 100')
  assert.equal(after.filter((what) => what === 'stage-converged staging 100').length, 1)
})

test('a plan that soaks longer than its slot is refused with the sum, and nothing is written', async (t) => {
  const { url } = await startConsul(t)
  const plan = [
    { ring: 'staging', soakSeconds: 900 },
    { ring: 'production', shares: [50, 100], soakSeconds: 1200 },
  ]
  const fleet = await conducting(t, { url, nodes: 1, rings: ['staging', 'production'], config: { plan } })
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.match(/1 node/g)?.length === 2)
  const refused = await fleet.conduct('release')
  assert.equal(refused.code, 3)
  assert.match(
    refused.stderr,
    /soak 55 min 0 s in all \(staging 100 % 15 min 0 s \+ production 50 % 20 min 0 s \+ production 100 % 20 min 0 s\), and a slot has 40 min 0 s; nothing was written/,
  )
  assert.equal((await fleet.conduct('release', '--ring', 'staging', '--dry-run')).code, 0, 'a part of it fits')
})

test('conduct plan shows the way of a release, names the nodes that it will take, and learns from what the last one took', async (t) => {
  const fleet = await begin(t)
  const planned = await fleet.conduct('plan', B)
  assert.equal(planned.code, 0, planned.stderr)
  assert.match(planned.stdout, /^A release of b-build goes through 4 stages to staging, canary and production\.$/m)
  assert.match(
    planned.stdout,
    /^ {2}1 +staging +100 % +4 of 4 +4 +- +smoke test sh \.\/smoke\.sh +about .* \(1 rollout\)$/m,
  )
  assert.match(planned.stdout, /^ {2}3 +production +25 % +1 of 4 +4 +300 ms +- +not known yet$/m)
  assert.match(planned.stdout, /^Soaks of 900 ms, how long its nodes take is not known yet; a slot has 40 min 0 s\.$/m)
  const [, id = ''] = /conduct release b-build --as (r-\S+) takes these/.exec(planned.stdout) ?? []

  const { stdout } = await fleet.conduct('plan', B, '--json')
  const { stages, open, refusal } = JSON.parse(stdout) as {
    stages: { ring: string; nodes: string[] }[]
    open: boolean
    refusal: string | null
  }
  assert.deepEqual([stages.length, open, refusal], [4, false, null])
  const released = await fleet.conduct('release', B, '--as', id)
  assert.equal(released.code, 0, released.stderr)
  assert.match(released.stderr, new RegExp(`rollout ${id}`))
  const again = await fleet.conduct('release', A, '--as', id)
  assert.equal(again.code, 2)
  assert.match(again.stderr, /there was such a rollout already; conduct plan names another id/)
  const learnt = await fleet.conduct('plan', A, '--nodes')
  assert.match(learnt.stdout, /^Soaks of 900 ms, about .* in all; a slot has 40 min 0 s\.$/m)
  assert.match(learnt.stdout, /^ {9}staging-\d staging-\d staging-\d staging-\d$/m)
})

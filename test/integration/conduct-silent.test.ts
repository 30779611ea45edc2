// Owns the proof of `silentNodes` on a real Consul: a plan that waits, and one that goes on without a node, by name, until it reports again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, B } from '#test/support/rollout-sim.ts'
import { events } from '#test/support/steering.ts'
import { until } from '#test/support/until.ts'

const NODES = 12
const LOST = 'production-5'

test('F12: a plan that proceeds goes on without a silent node after its time; history, status and outcome say that policy did', async (t) => {
  const { url } = await startConsul(t)
  const plan = [{ ring: 'production', silentNodes: 'proceed', silentSeconds: 1, soakSeconds: 0.5 }]
  const fleet = await conducting(t, { url, nodes: NODES, config: { plan, maxUnavailable: '50%' } })
  await fleet.publish(A)
  await fleet.publish(B)
  await until('all report', async () => (await fleet.conduct('status')).stdout.includes(`${NODES} nodes`))
  assert.equal((await fleet.conduct('release', A)).code, 0)
  await fleet.nodes[4]?.die()
  const release = fleet.start('release', B)
  await until('it says when it goes on', () => release.stderr().includes('the plan goes on without them in'))
  assert.ok(release.stderr().includes(LOST))
  const done = await release.end
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /^Released b-build to production: 11 of 12 nodes run it/)
  assert.match(done.stdout, /Not counted: production-5 \(waived by policy: silent for 1\.0 s\)/)
  const waived = (await events(fleet)).find(({ event }) => event === 'waived')
  assert.deepEqual([waived?.by, waived?.facts.node, waived?.facts.reason], ['policy', LOST, 'silent for 1.0 s'])
  const history = await fleet.conduct('history')
  assert.match(
    history.stdout,
    /ended done: b-build .* not counting production-5 \(waived by policy: silent for 1\.0 s\)/,
  )
  const silent = JSON.parse((await fleet.conduct('status', '--json')).stdout)
  assert.equal(silent.rings[0].counts.silent, 1, 'counted all the same')
})

// Owns what a rollout does when Consul itself fails under it: its leader is killed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conducting } from '#test/support/conducting.ts'
import { startCluster } from '#test/support/consul.ts'
import { B } from '#test/support/rollout-sim.ts'
import { until } from '#test/support/until.ts'

const RINGS = ['staging', 'production']

test('the leader of three Consul servers is killed while a release soaks: the release completes, and nobody swaps to anything else', async (t) => {
  const cluster = await startCluster(t)
  const leader = await until('a leader', () => cluster.leader())
  const other = cluster.servers.find((one) => one !== leader)
  assert.ok(other)
  const plan = [
    { ring: 'staging', soakSeconds: 1 },
    { ring: 'production', shares: [50, 100] },
  ]
  const fleet = await conducting(t, {
    url: other.url,
    nodes: 4,
    rings: RINGS,
    config: { plan, maxUnavailable: '100%' },
  })
  await fleet.publish(B)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.match(/4 nodes/g)?.length === 2)
  const running = fleet.start('release', B)
  await until('staging soaks', () => running.stderr().includes('staging soaks'))
  await leader.kill()
  const { code, stderr } = await running.end
  assert.equal(code, 0, stderr)
  assert.ok(fleet.nodes.every(({ hot, swaps }) => hot === B && swaps === 1))
  const audit = await fleet.conduct('audit', 'verify')
  assert.equal(audit.code, 0, audit.stdout)
})

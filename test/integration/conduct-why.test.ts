// Owns the proof that a newcomer is told what is going on and what to type: by status, watch and why, on a real Consul.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Conducting } from '#test/support/conducting.ts'
import { conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, B } from '#test/support/rollout-sim.ts'
import { letGo, onA, orderOf, rolloutOf, standing } from '#test/support/steering.ts'
import { until } from '#test/support/until.ts'

interface WhyView {
  readonly about: string
  readonly code: string
  readonly command: string
  readonly when: string
  readonly nodes: readonly string[]
  readonly evidence: readonly string[]
  readonly also: readonly string[]
}

interface WhysView {
  readonly rollout: WhyView
  readonly rings: readonly WhyView[]
  readonly nodes: readonly WhyView[]
}

async function whys(fleet: Conducting, ...more: readonly string[]): Promise<WhysView> {
  const said = await fleet.conduct('why', '--json', ...more)
  assert.equal(said.code, 0, said.stderr)
  return JSON.parse(said.stdout) as WhysView
}

/** All three faces tell the same code, and the same to type. */
async function told(fleet: Conducting, code: string, types: string): Promise<WhyView> {
  const { rollout } = await whys(fleet)
  assert.deepEqual([rollout.code, rollout.command], [code, types], JSON.stringify(rollout))
  const why = await fleet.conduct('why')
  assert.equal(why.code, 0, why.stderr)
  const lines = why.stdout.split('\n')
  assert.match(lines[0] ?? '', new RegExp(`^rollout: .* \\(${code}\\)$`))
  assert.ok(lines.includes(`  type     ${types}`), why.stdout)
  assert.ok(
    lines.some((line) => line.startsWith('  next     ')) && lines.some((line) => line.startsWith('  when     ')),
  )
  const { stdout } = await fleet.conduct('status')
  assert.ok(stdout.includes(`Next (${code}): `) && stdout.includes(`Type: ${types}\n`), stdout)
  const watch = fleet.start('watch')
  await until('watch tells it', () => watch.stdout().includes(`(${code}); type: ${types}\n`))
  watch.interrupt()
  assert.equal((await watch.end).code, 0)
  return rollout
}

test('why: a paused, then a lease-lost, then an orphan-written rollout each say what to type, and typing it helps', async (t) => {
  const fleet = await onA(t, 3)
  const release = await standing(fleet)
  await until('the others have staged', async () => (await whys(fleet)).rollout.nodes.length === 1)
  const staging = await told(fleet, 'nodes-staging', 'conduct why NODE')
  assert.deepEqual(staging.nodes, ['production-1'])
  const slow = await fleet.conduct('why', 'production-1')
  assert.match(slow.stdout, /^production\/production-1: .* \(node-[a-z]+\)$/m)
  assert.doesNotMatch(slow.stdout, /production-2/)
  const nobody = await fleet.conduct('why', 'production-9')
  assert.equal(nobody.code, 3)
  assert.match(nobody.stderr, /No such node: production-9 never reported in production/)

  assert.equal((await fleet.conduct('pause', '--by', 'ben', '--reason', 'graphs look odd')).code, 0)
  const paused = await told(fleet, 'paused', 'conduct resume')
  assert.match(paused.evidence.join('; '), /held by ben .*graphs look odd/)
  assert.equal((await fleet.conduct('resume')).code, 0)
  await until('it waits for its node again', async () => (await whys(fleet)).rollout.code === 'nodes-staging')

  release.interrupt()
  await release.end
  const lost = await told(fleet, 'no-driver', 'conduct release b-build')
  assert.deepEqual(lost.also, ['nodes-staging'])

  const order = await orderOf(fleet)
  await fleet.put('production', JSON.stringify({ ...order, rollout: 'script', generation: order.generation + 1 }))
  const stray = await told(fleet, 'orphan-write', 'conduct release b-build --adopt')
  assert.match(stray.evidence.join('; '), /written by someone who does not hold the lease/)
  assert.equal((await whys(fleet)).rings[0]?.code, 'ring-orphan-write')
  letGo(fleet)
  const adopted = await fleet.conduct(...stray.command.split(' ').slice(1))
  assert.equal(adopted.code, 0, adopted.stderr)
  assert.equal((await whys(fleet)).rollout.code, 'done')
})

test('why: a rollout with a silent node names it and what goes on without it; once waived it goes on', async (t) => {
  const fleet = await onA(t, 12)
  await fleet.nodes[4]?.die()
  const release = fleet.start('release', B)
  await until('it waits for the node', async () => (await rolloutOf(fleet)).because[0]?.code === 'nodes-silent')
  const silent = await told(fleet, 'nodes-silent', 'conduct waive production-5 --reason WHY')
  assert.deepEqual(silent.nodes, ['production-5'])
  assert.match(silent.when, /on hold otherwise, in 1\d min/, 'the progress deadline is told')
  const { nodes } = await whys(fleet, 'production-5')
  assert.deepEqual(
    nodes.map(({ about, code }) => [about, code]),
    [['production-5', 'node-silent']],
  )
  assert.equal((await fleet.conduct('waive', 'production-5', '--reason', 'disk is dead')).code, 0)
  assert.equal((await release.end).code, 0)
})

test('why: a rollout whose failure budget is spent says so, with what failed and what becomes of the build', async (t) => {
  const fleet = await onA(t, 4)
  fleet.broken.add(B)
  const failed = await fleet.conduct('release', B)
  assert.equal(failed.code, 1, failed.stderr)
  const rollout = await told(fleet, 'failures-over-budget', 'conduct status --nodes')
  assert.match(rollout.evidence.join('; '), /1 of 4 nodes of production failed b-build/)
  const { stdout } = await fleet.conduct('why')
  assert.match(stdout, /^ {2}next {5}nothing: b-build is under quarantine, and what ran before runs again$/m)
  const status = await fleet.conduct('status')
  assert.match(status.stdout, /1 of 4 nodes of production failed b-build/)
})

async function gated(t: TestContext, command: readonly string[], soakSeconds: number): Promise<Conducting> {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, {
    url,
    nodes: 2,
    config: {
      plan: [{ ring: 'production', soakSeconds }],
      gates: [{ name: 'errors', command, intervalSeconds: 1 }],
    },
  })
  await fleet.publish(A)
  await until('the nodes report', async () => {
    const said = await fleet.conduct('status')
    assert.equal(said.code, 0, said.stderr)
    return said.stdout.includes('2 nodes')
  })
  return fleet
}

test('why: a soaking rollout says how long it still soaks', async (t) => {
  const fleet = await gated(t, ['true'], 600)
  const release = fleet.start('release', A)
  await until('it soaks', async () => (await rolloutOf(fleet)).phase === 'soaking')
  const soaking = await told(fleet, 'soaking', 'conduct watch')
  assert.match(soaking.when, /^in (9 min \d+ s|10 min 0 s) \(\d{4}-/)
  release.interrupt()
  await release.end
})

test('why: a rollout that only a gate keeps back names the gate and the way out', async (t) => {
  const fleet = await gated(t, ['sh', '-c', 'exit 75'], 0)
  const release = fleet.start('release', A)
  await until('it waits for its gate', async () => {
    return (await rolloutOf(fleet)).because[0]?.code === 'gate-inconclusive'
  })
  const gate = await told(fleet, 'gate-inconclusive', 'conduct rollback')
  assert.match(gate.evidence.join('; '), /errors: /)
  release.interrupt()
  await release.end
})

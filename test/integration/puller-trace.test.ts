// Owns the proof that the shell does what the machine says: its traces replay through the pure step without difference.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { step } from '#puller/core/machine.ts'
import type { NodeEvent, NodeState } from '#puller/core/state.ts'
import { digestOf } from '#puller/shell/loop.ts'
import { type LogLine, oneNode } from '#test/support/puller.ts'

interface Replayed {
  readonly steps: number
  readonly phases: ReadonlySet<string>
}

/** Plays every trace of a log again: from each start, through each event, to the state that the shell said it was in. */
function replay(lines: readonly LogLine[]): Replayed {
  let state: NodeState | null = null
  let steps = 0
  const phases = new Set<string>()
  for (const line of lines) {
    if (line.msg === 'recovered') state = JSON.parse(String(line.state)) as NodeState
    if (line.msg !== 'step') continue
    assert.ok(state, 'a step follows a start')
    const event = JSON.parse(String(line.event)) as NodeEvent
    state = step(state, event).state
    steps += 1
    assert.equal(digestOf(state), line.state, `step ${steps}, after ${event.type}`)
    phases.add(state.phase)
  }
  return { steps, phases }
}

test('what the shell did replays through the pure machine without difference, over a failure, a kill and a rollback', async (t: TestContext) => {
  const node = await oneNode(t, {
    hooks: { afterSwap: ['sh', '-c', 'test ! -e hot/broken && { test ! -e hot/slow || test -e ../go || sleep 20; }'] },
  })
  await node.publish('build-a')
  await node.publish('build-b')
  await node.publish('build-c', { broken: 'yes' })
  await node.publish('build-d', { slow: 'yes' })
  await node.order(1, 'build-a', null)
  node.start()
  await node.reports('build-a runs', ({ hot, phase }) => hot === 'build-a' && phase === 'idle')
  await node.order(2, 'build-b', 'build-a')
  await node.reports('build-b runs, armed', ({ hot, phase, armed }) => hot === 'build-b' && phase === 'idle' && armed)
  await node.order(3, 'build-c', 'build-b', { rollout: 'r-2' })
  await node.reports(
    'build-c is refused',
    ({ hot, phase, refusal }) => hot === 'build-b' && phase === 'idle' && refusal?.build === 'build-c',
  )
  await node.order(4, 'build-d', 'build-b', { rollout: 'r-3' })
  await node.logged(
    'build-d restarts',
    ({ msg, to, build }) => msg === 'phase changed' && to === 'restarting' && build === 'build-d',
  )
  await node.stop('SIGKILL')
  node.start()
  await node.logged('it goes on restarting', ({ msg, phase }) => msg === 'resumed' && phase === 'restarting')
  await node.order(5, 'build-b', null, { rollout: 'r-4' })
  await node.reports(
    'build-b runs again',
    ({ hot, phase, generation }) => hot === 'build-b' && phase === 'idle' && generation === 5,
  )
  assert.equal(await node.stop(), 0)

  const { steps, phases } = replay(await node.log())
  assert.ok(steps > 40, `only ${steps} steps were traced`)
  for (const phase of ['idle', 'fetching', 'staged', 'draining', 'swapping', 'restarting', 'verifying', 'reverting']) {
    assert.ok(phases.has(phase), `${phase} was gone through`)
  }
})

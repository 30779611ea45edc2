// Owns the proof of how an app looks to a person: counts that sum, foreign words made harmless, large rings made short.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endOfRollback } from '#conductor/cli/ending.ts'
import { renderPicture } from '#conductor/cli/render.ts'
import { createReporter, plain, widthOf } from '#conductor/cli/reporter.ts'
import { ageOf, columns, counted, listed } from '#conductor/cli/words.ts'
import { pictureOf } from '#conductor/core/picture.ts'
import { A, APP, B, C, RING, Simulation, settledOn } from '#test/support/rollout-sim.ts'

const NOW = Date.parse('2026-11-22T16:40:00Z')
const bare = createReporter({ stdout: { write: () => {} }, stderr: { write: () => {} } }, {}, false)

function pictured(nodes: number, change: (sim: Simulation) => void) {
  const sim = new Simulation({ nodes, before: settledOn(B, A), hot: B, cold: A, build: C })
  sim.now = NOW
  sim.conduct()
  change(sim)
  const fleet = sim.view()
  const rings = Object.values(fleet.rings)
  return pictureOf({ app: APP, rings, fleet, rollout: sim.rollout, lease: null, builds: [], now: NOW })
}

test('each node is in one count, and the counts stand in words with what is zero left out', () => {
  const picture = pictured(4, (sim) => {
    const [first, second] = sim.nodes
    if (first) first.silent = true
    if (second) second.said = { ...second.said, phase: 'parked' }
  })
  const lines = renderPicture(picture, bare.paint, NOW, { nodes: false })
  assert.ok(lines.includes('  4 nodes: 2 working, 1 failed, 1 silent'), lines.join('\n'))
  assert.match(
    lines[0] ?? '',
    /^web\/production {2}staging c-build {2}\(fallback b-build, generation 58 by ana 0 s ago\)$/,
  )
  assert.ok(lines.some((line) => /^ {2}node-0 {2}\? silent /.test(line)))
  assert.ok(lines.includes('  Nobody drives this rollout: conduct release c-build goes on with it.'))
})

test('H5 H9: what a hook printed cannot move the cursor, forge a line or hide behind direction marks', () => {
  const picture = pictured(1, (sim) => {
    const [node] = sim.nodes
    const message = 'line\n● forged  converged\u001b[2J\u202egnp.exe'
    if (node) node.said = { ...node.said, troubles: [{ code: 'HOOK_FAILED', message }] }
  })
  const text = renderPicture(picture, bare.paint, NOW, { nodes: false }).join('\n')
  assert.doesNotMatch(text, /[\u001b\u202e]/)
  assert.match(text, /HOOK_FAILED: line ● forged {2}converged \[2J gnp\.exe/)
  assert.equal(plain('tab\there'), 'tab here')
})

test('who is back and re-arms its cold directory already is said to be back', () => {
  const sim = new Simulation({ nodes: 2, before: settledOn(B, A), hot: B, cold: A, build: C })
  sim.settle(() => true)
  sim.rollout = { ...sim.rollout, phase: 'recalling', endedAt: null }
  sim.settle()
  for (const node of sim.nodes.slice(1)) node.said = { ...node.said, phase: 'fetching', cold: null }
  const fleet = sim.view()
  const rings = Object.values(fleet.rings)
  const picture = pictureOf({ app: APP, rings, fleet, rollout: sim.rollout, lease: null, builds: [], now: NOW })
  assert.equal(picture.rings[0]?.counts.working, 1)
  const { exit, lines } = endOfRollback({ rollout: sim.rollout, end: 'over' }, picture.rings, 1_400)
  assert.deepEqual([exit, lines], [0, ['production is back on b-build: all 2 nodes run it after 1.4 s.']])
})

test('a large ring shows only the nodes that are not where they should be, unless all are asked for', () => {
  const picture = pictured(40, (sim) => {
    for (const node of sim.nodes.slice(3)) node.said = { ...node.said, hot: C, cold: B, generation: 58 }
  })
  assert.equal(picture.rings[0]?.counts.converged, 37)
  const lines = renderPicture(picture, bare.paint, NOW, { nodes: false })
  assert.equal(lines.filter((line) => /^ {2}node-\d+/.test(line)).length, 3)
  assert.ok(lines.includes('  … and 37 more nodes: --nodes lists all'))
  const all = renderPicture(picture, bare.paint, NOW, { nodes: true })
  assert.equal(all.filter((line) => /^ {2}node-\d+/.test(line)).length, 40)
})

test('columns line up, and the small words read as words', () => {
  assert.deepEqual(
    columns([
      ['a', 'bb', 'c'],
      ['aaa', 'b', ''],
    ]),
    ['a    bb  c', 'aaa  b'],
  )
  assert.deepEqual(
    [counted(1, 'node'), counted(0, 'node'), counted(2, 'entry', 'entries')],
    ['1 node', '0 nodes', '2 entries'],
  )
  assert.equal(listed(['a']), 'a')
  assert.equal(listed(['a', 'b', 'c']), 'a, b and c')
  assert.equal(listed(['a', 'b', 'c', 'd', 'e']), 'a, b and 3 more')
  assert.deepEqual(
    ['2026-11-22T16:39:48Z', '2026-11-22T16:30:00Z', '2026-11-20T10:00:00Z', ''].map((at) => ageOf(at, NOW)),
    ['12 s', '10 min', '2 d', 'unknown'],
  )
  assert.equal(widthOf('\u001b[32mok\u001b[39m'), 2)
})

test('a block on a terminal never wraps, because what wraps cannot be drawn over', () => {
  let drawn = ''
  const stderr = {
    write: (text: string) => {
      drawn += text
    },
    isTTY: true,
    columns: 20,
  }
  const report = createReporter({ stdout: { write: () => {} }, stderr }, {}, false)
  report.draw(['x'.repeat(50), 'short'])
  report.draw(['again'])
  assert.equal(drawn, `${'x'.repeat(18)}…\nshort\n\u001b[2A\u001b[0Jagain\n`)
  assert.equal(RING, 'production')
})

// Owns the proof at the size of a fleet: the same seed tells the same story, a thousand nodes keep cap and exposure, and go back without a byte.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { main } from '#conductor/main.ts'
import { ALL_FAULTS, type Fault } from '#conductor/sim/faults.ts'
import { simulate, simulateRollback } from '#conductor/sim/run.ts'
import { broken } from '#test/support/sim.ts'

const NONE: ReadonlySet<Fault> = new Set()

async function eventsOf(seed: number): Promise<string> {
  const lines: string[] = []
  await simulate({ nodes: 9, seed, faults: new Set(ALL_FAULTS), onLine: (line) => lines.push(line) })
  return lines.join('\n')
}

test('the same seed gives the same events, byte for byte, and another seed others', async () => {
  const once = await eventsOf(7)
  assert.ok(once.split('\n').length > 50)
  assert.equal(await eventsOf(7), once)
  assert.notEqual(await eventsOf(8), once)
})

test('B12: a thousand nodes take a build in exact shares within the cap, and go back to the one before with the store away', async (t: TestContext) => {
  const report = await simulateRollback({ nodes: 1_000, seed: 7, faults: NONE })
  t.diagnostic(JSON.stringify({ ...report, lastLines: [] }))
  assert.equal(broken(report, NONE), null)
  assert.deepEqual(Object.values(report.rollouts), ['done', 'rolledBack'])
  assert.equal(report.swaps, 1_000)
  assert.equal(report.fetchedBytes, 0)
})

test('A21 F12: a thousand nodes under every fault, one in ten silent for a while, keep every promise', async () => {
  const faults = new Set(ALL_FAULTS)
  assert.equal(broken(await simulate({ nodes: 1_000, seed: 3, faults }), faults), null)
  const few = new Set<Fault>(['late', 'reordered', 'silent', 'crash-conductor', 'rivals'])
  const report = await simulate({ nodes: 1_000, seed: 4, faults: few })
  assert.equal(broken(report, few), null)
  assert.deepEqual(Object.values(report.rollouts), ['done'])
})

function conduct(...argv: readonly string[]): Promise<{ exit: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []]
  const [stdout, stderr] = [out, err].map((lines) => ({ write: (text: string) => lines.push(text) }))
  assert.ok(stdout && stderr)
  const clock = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve(), random: () => 0 }
  const around = { env: {}, cwd: '.', clock, signal: new AbortController().signal, hostname: 'here', user: 'ana' }
  const exit = main(argv, { stdout, stderr, ...around })
  return exit.then((code) => ({ exit: code, out: out.join(''), err: err.join('') }))
}

test('conduct sim says what it ran and what it held the fleet to, as sentences, events and JSON', async () => {
  const said = await conduct('sim', '--nodes', '5', '--seed', '7', '--faults', 'none')
  assert.equal(said.exit, 0)
  assert.match(said.out, /^1 seed of 5 nodes with faults none: /)
  assert.match(said.out, /Checked at every step: cap, exposure, generation/)
  const events = await conduct('sim', '--nodes', '5', '--seed', '7', '--faults', 'none', '--events')
  assert.match(events.out, /conduct r-1: raise production g59/)
  const json = await conduct('sim', '--nodes', '4', '--seed', '2', '--seeds', '3', '--faults', 'late,silent', '--json')
  const document = JSON.parse(json.out) as Record<string, unknown>
  assert.deepEqual([json.exit, document.seeds, document.nodes, document.broken], [0, 3, 4, []])
})

test('conduct sim refuses a fault that there is not, and names those that there are', async () => {
  const { exit, err } = await conduct('sim', '--faults', 'late,gremlins')
  assert.equal(exit, 2)
  assert.match(err, /gremlins is no fault: all, none, or some of late, lost, reordered/)
})

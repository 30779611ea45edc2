// Owns the proof that a scrape never lies about the fleet: on a real Consul the states and phases sum to the roster, whatever nodes do meanwhile.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { statusSink } from '#adapters/consul/sink.ts'
import type { Name } from '#fleet/build.ts'
import { PHASES } from '#fleet/node-status.ts'
import type { StatusSink } from '#fleet/ports.ts'
import { conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, APP, B, RING, SimNode, settledOn } from '#test/support/rollout-sim.ts'
import { samplesIn, sumsIn, valueIn } from '#test/support/scrape.ts'
import { until } from '#test/support/until.ts'
import { watchingConductor } from '#test/support/watched-fleet.ts'

const NEVER = new AbortController().signal

test('states and phases sum to the roster at every scrape while a release runs, and nodes join, leave and fall silent', async (t) => {
  const { url } = await startConsul(t)
  // A soak that nobody lives to see: the release is under way until it is taken back.
  const plan = [{ ring: 'staging' }, { ring: RING, soakSeconds: 1_200 }]
  const fleet = await conducting(t, {
    url,
    nodes: 4,
    rings: ['staging', RING],
    config: { maxUnavailable: '50%', plan },
  })
  const { address } = await watchingConductor(t, { url, app: APP, rings: ['staging', RING] })
  const scrape = async () => samplesIn(await (await fetch(`http://${address}/metrics`)).text())

  let scrapes = 0
  const rosters = new Set<number>()
  const wrong: unknown[] = []
  const stop = new AbortController()
  const scraping = (async () => {
    while (!stop.signal.aborted) {
      for (const sums of sumsIn(await scrape())) {
        scrapes += 1
        if (sums.ring === RING) rosters.add(sums.roster)
        if (sums.states !== sums.roster || sums.phases !== sums.roster || !sums.complete) wrong.push(sums)
      }
      await new Promise(setImmediate)
    }
  })()
  t.after(async () => {
    stop.abort()
    await scraping
  })
  const shows = (what: string, name: string, labels: Readonly<Record<string, string>>, value: number) =>
    until(what, async () => valueIn(await scrape(), name, { app: APP, ring: RING, ...labels }) === value, 30_000)

  await shows('four nodes', 'conductor_roster_nodes', {}, 4)
  await fleet.publish(A)
  const simple = join(fleet.dir, 'simple.yaml')
  await writeFile(simple, `rings: [staging, ${RING}]\n`)
  assert.equal((await fleet.conduct('release', '--config', simple)).code, 0)
  await shows('all converged', 'conductor_nodes', { state: 'converged' }, 4)
  await fleet.publish(B)
  const releasing = fleet.start('release', '--yes')

  // Three more come while it runs, say something of each phase, and fall silent; one of them is taken off the roster.
  const sinks: StatusSink[] = []
  for (const name of ['late-1', 'late-2', 'late-3'] as Name[]) {
    const shelf = { load: async () => null, save: async () => undefined }
    const sink = statusSink(fleet.client, { app: APP, ring: RING, node: name, shelf })
    sinks.push(sink)
    const node = new SimNode(name, settledOn(A, null, 1), A, null)
    for (const phase of PHASES) await sink.publish({ ...node.status(), phase, at: new Date().toISOString() }, NEVER)
  }
  await shows('seven nodes', 'conductor_roster_nodes', {}, 7)
  for (const sink of sinks) await sink.close()
  await shows('three are silent', 'conductor_nodes', { state: 'silent' }, 3)
  await shows('who is silent keeps its last phase', 'conductor_phase_nodes', { phase: 'parked' }, 3)
  const forgotten = await fleet.conduct('forget', 'late-1', '--reason', 'scrapped', '--yes')
  assert.equal(forgotten.code, 0, forgotten.stderr)
  await shows('six nodes', 'conductor_roster_nodes', {}, 6)
  const [victim] = fleet.nodes.filter(({ name }) => name.startsWith(RING))
  await victim?.die()
  await shows('one more is silent', 'conductor_nodes', { state: 'silent' }, 3)
  const back = await fleet.conduct('rollback', '--yes')
  const { code, stderr } = await releasing.end
  assert.equal(code, 1, `the release is taken back: ${stderr} ${back.stderr}`)

  stop.abort()
  await scraping
  assert.deepEqual(wrong, [])
  assert.ok(scrapes > 100, `${scrapes} rings were scraped`)
  assert.deepEqual(
    [4, 6, 7].filter((roster) => !rosters.has(roster)),
    [],
    'every size of the roster was scraped',
  )
})

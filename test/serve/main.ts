// Owns `npm run test:serve`: what a daemon of a large, talkative fleet costs, at rest and with a rollout open, and how late its view is.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseArgs } from 'node:util'
import { gather } from './crowd.ts'
import { costOf, lagsOf } from './measure.ts'
import { openRollout, world } from './world.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '30' },
  },
})
const [nodes, rate, seconds] = [Number(values.nodes), Number(values.rate), Number(values.seconds)]

test(`${nodes} nodes, ${rate} statuses a second: the daemon stays under half a core and 200 MiB, its view less than 1 s behind`, async (t: TestContext) => {
  const { daemon, fleet, url } = await world(t, { nodes })
  const crowd = await gather(fleet.client, { app: fleet.app, ring: fleet.ring, nodes, generation: 1 }, t.signal)
  await fleet.seen(daemon, nodes)
  const lags = await lagsOf(t, daemon.address)
  const pid = daemon.child.pid ?? 0
  for (const phase of ['at rest', 'with a rollout open'] as const) {
    if (phase !== 'at rest') await openRollout(t, fleet, daemon)
    const before = lags.ms.length
    const cost = await costOf(pid, () => crowd.speak(rate, AbortSignal.timeout(seconds * 1_000)))
    const told = lags.ms.length - before
    const late = [0.5, 0.99, 1].map((p) => `${Math.round(lags.at(p, before))}`)
    const figures = [
      `cpu ${cost.cpuPercent.toFixed(1)} % of a core`,
      `rss ${cost.rssMiB.toFixed(0)} MiB (peak ${cost.peakMiB.toFixed(0)})`,
      `${told} statuses told, lag p50/p99/max ${late.join('/')} ms`,
    ]
    process.stdout.write(`${phase}: ${figures.join('; ')}\n`)
    assert.ok(told > rate * seconds * 0.8, 'statuses were told')
    assert.ok(cost.cpuPercent < 50, `${cost.cpuPercent} % of a core`)
    assert.ok(cost.peakMiB < 200, `${cost.peakMiB} MiB`)
    assert.ok(lags.at(0.99, before) < 1_000, `${lags.at(0.99, before)} ms behind`)
  }
  assert.ok(url)
})

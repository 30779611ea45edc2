// Owns the slice of `npm run test:serve` that each run of the suite plays: a crowd that talks, a daemon that keeps up, and no judgement by the clock.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodePicture, Picture } from '#conductor/core/picture.ts'
import type { Change } from '#conductor/web/changes.ts'
import { gather } from '#test/serve/crowd.ts'
import { world } from '#test/serve/world.ts'
import { listenTo } from '#test/support/event-stream.ts'
import { until } from '#test/support/until.ts'

const NODES = 300
const WORDS = 60

test('a crowd talks: the stream tells of every node that spoke, and the view is what stands in Consul', async (t) => {
  const { daemon, fleet } = await world(t, { nodes: NODES })
  const crowd = await gather(fleet.client, { app: fleet.app, ring: fleet.ring, nodes: NODES, generation: 1 }, t.signal)
  await fleet.seen(daemon)
  const client = await listenTo(t, daemon.address)
  await until('it has the picture', () => client.told.length > 0)
  const stop = new AbortController()
  const said = (): readonly NodePicture[] =>
    client.told
      .filter(({ event }) => event === 'change')
      .flatMap(({ data }) => (data as Change).rings ?? [])
      .flatMap(({ nodes = [] }) => nodes)
  const speaking = crowd.speak(40, stop.signal)
  await until('it hears of many', () => new Set(said().map(({ node }) => node)).size >= WORDS)
  stop.abort()
  const words = await speaking
  await until('it hears the last word', () =>
    said().some(({ troubles }) => troubles[0]?.message.endsWith(` the ${words - 1}th`)),
  )
  assert.ok(
    said().every(({ state }) => state === 'converged'),
    'whoever spoke runs what is ordered',
  )
  const { rings } = await daemon.json<Picture>('/api/v1/status')
  assert.deepEqual([rings[0]?.counts.total, rings[0]?.counts.converged], [NODES, NODES])
  const truth = await fleet.client.list(fleet.client.keys(fleet.app).nodes(fleet.ring), t.signal)
  const times = truth.value.map(({ value }) => (JSON.parse(new TextDecoder().decode(value)) as { at: string }).at)
  assert.deepEqual(
    rings[0]?.nodes.map(({ at }) => at),
    times,
  )
})

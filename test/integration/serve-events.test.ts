// Owns the proof of the daemon's event stream on a real Consul: first the picture, then what changes, resumed without a gap.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Picture } from '#conductor/core/picture.ts'
import type { Change } from '#conductor/web/changes.ts'
import type { HistoryEntry } from '#fleet/ports.ts'
import { type Listening, listenTo } from '#test/support/event-stream.ts'
import { applied } from '#test/support/pictured.ts'
import { A, B } from '#test/support/rollout-sim.ts'
import { serving } from '#test/support/serving.ts'
import { onA } from '#test/support/steering.ts'
import { until } from '#test/support/until.ts'

/** The picture that a client has, made of the first one and all changes. */
function pictured({ told }: Listening): Picture {
  const first = told.find(({ event }) => event === 'status')
  assert.ok(first, 'the picture comes first')
  const changes = told.filter(({ event }) => event === 'change').map(({ data }) => data as Change)
  return changes.reduce(applied, first.data as Picture)
}

function seqs({ told }: Listening): readonly number[] {
  return told.filter(({ event }) => event === 'history').map(({ data }) => (data as HistoryEntry).seq)
}

/** What passes with time alone is no change. */
function timeless({ rollout, ...picture }: Picture): unknown {
  return { ...picture, rollout: rollout === null ? null : { ...rollout, stage: null } }
}

test('a client is told the picture, every entry and every change; one that comes back misses no entry and gets none twice', async (t) => {
  const fleet = await onA(t, 3)
  const daemon = await serving(t, fleet)
  await daemon.leads()
  const first = await listenTo(t, daemon.address)
  const second = await listenTo(t, daemon.address)
  await until('both have a picture', () => first.told.length > 0 && second.told.length > 0)
  assert.equal(first.told[0]?.event, 'status')
  assert.equal((await fleet.conduct('release', B)).code, 0)
  const newest = async () => (await daemon.json<{ history: HistoryEntry[] }>('/api/v1/history?limit=1')).history[0]?.seq
  await until('the end is told', async () => seqs(first).at(-1) === (await newest()))
  await until('the picture is the same as when asked for', async () => {
    assert.deepEqual(timeless(pictured(first)), timeless(await daemon.json<Picture>('/api/v1/status')))
    return true
  })
  assert.deepEqual(seqs(first), seqs(second))
  const all = seqs(first)
  assert.deepEqual(
    all,
    all.map((_, i) => (all[0] ?? 0) + i),
    'one after the other',
  )

  const last = second.told.findLast(({ event }) => event === 'history')?.id
  assert.ok(last)
  second.close()
  await second.ended
  assert.equal((await fleet.conduct('rollback')).code, 0)
  const back = await listenTo(t, daemon.address, { lastId: last })
  await until('it has caught up', async () => seqs(back).at(-1) === (await newest()))
  await until('so has the one that stayed', async () => seqs(first).at(-1) === (await newest()))
  assert.deepEqual([...seqs(second), ...seqs(back)], seqs(first))
  assert.deepEqual(back.told.at(-1)?.id, String(await newest()))
  assert.ok(pictured(back).rings[0]?.nodes.every(({ hot }) => hot === A))

  const stranger = await listenTo(t, daemon.address, { lastId: '999999' })
  await until('it is told', () => stranger.told.length >= 2)
  assert.deepEqual(
    stranger.told.slice(0, 2).map(({ event }) => event),
    ['reset', 'status'],
  )
})

test('a node that joins and one that is forgotten are told, by name', async (t) => {
  const fleet = await onA(t, 2)
  const daemon = await serving(t, fleet)
  await daemon.leads()
  const client = await listenTo(t, daemon.address)
  await fleet.nodes[1]?.die()
  const silent = () => pictured(client).rings[0]?.nodes.find(({ node }) => node === 'production-2')?.silent === true
  await until('its silence is told', silent)
  assert.equal((await fleet.conduct('forget', 'production-2', '--reason', 'sold')).code, 0)
  await until('it is gone', () => pictured(client).rings[0]?.nodes.length === 1)
  assert.equal(pictured(client).rings[0]?.counts.total, 1)
})

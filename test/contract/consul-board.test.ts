// Owns the proof that a watched board reads again only what was written since, on a real Consul.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import type { RosterNode } from '#fleet/roster.ts'
import { writeStatus } from '#fleet/wire.ts'
import { connect } from '#test/support/connect.ts'
import { startConsul } from '#test/support/consul.ts'
import { APP, RING, statusOf } from '#test/support/ports.ts'
import { until } from '#test/support/until.ts'

test('a node that said nothing is the same object in the next roster; one that cannot be read is complained of once', async (t) => {
  const { url } = await startConsul(t)
  const { client, log, signal } = connect(t, { url })
  const keys = client.keys(APP)
  const session = await client.createSession('nodes', 30, signal)
  const say = (node: string, generation: number) =>
    client.acquire(keys.node(RING, node), writeStatus(statusOf(node, { generation })), session, signal)
  for (const node of ['n1', 'n2', 'n3']) await say(node, 7)
  await client.put(keys.node(RING, 'n4'), new TextEncoder().encode('no status'), signal)
  const answers: string[] = []
  const board = statusBoard(client, { app: APP, onAnswer: (ring) => answers.push(ring) })
  const rosters: (readonly RosterNode[])[] = []
  const stop = new AbortController()
  const watching = (async () => {
    for await (const roster of board.changes(RING, AbortSignal.any([signal, stop.signal]))) rosters.push(roster)
  })()
  await until('the first roster', () => rosters.length === 1)
  await say('n2', 8)
  await until('n2 is seen', () => rosters.at(-1)?.[1]?.status.generation === 8)
  const [first, last] = [rosters[0], rosters.at(-1)]
  assert.deepEqual(
    last?.map(({ status }) => [status.node, status.generation]),
    [
      ['n1', 7],
      ['n2', 8],
      ['n3', 7],
      ['n4', -1],
    ],
  )
  assert.ok(first?.[0] === last[0] && first?.[2] === last[2] && first?.[3] === last[3], 'the same objects')
  assert.equal(log.lines.filter(({ message }) => message === 'status was rejected').length, 1)
  await client.destroySession(session, signal)
  await until('all are silent', () => rosters.at(-1)?.every(({ silent }) => silent))
  await client.delete(keys.node(RING, 'n1'), signal)
  await until('n1 is gone', () => rosters.at(-1)?.length === 3)
  assert.ok(answers.length >= rosters.length)
  stop.abort()
  await watching
})

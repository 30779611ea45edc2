// Owns the proof of the event stream's limits over real sockets, with news of the test's own: slow clients, too many, and silence.
import assert from 'node:assert/strict'
import { connect as connectSocket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'
import { type Picture, pictureOf } from '#conductor/core/picture.ts'
import { Signal } from '#conductor/shell/signal.ts'
import { openDoor } from '#conductor/web/door.ts'
import { EventStream, LIMITS, type StreamLimits } from '#conductor/web/events.ts'
import type { HistoryEntry } from '#fleet/ports.ts'
import { listenTo } from '#test/support/event-stream.ts'
import { APP } from '#test/support/rollout-sim.ts'
import { until } from '#test/support/until.ts'

const POLICY = { maxUnavailable: 33, failureBudget: 10, waveMs: 60_000, allAtOnce: false }

/** A stream whose news the test makes. */
async function stream(t: TestContext, limits: Partial<StreamLimits>) {
  const changed = new Signal()
  const history: HistoryEntry[] = []
  let [version, words] = [0, '']
  const stop = new AbortController()
  const empty = {
    app: APP,
    rings: [],
    fleet: { policy: POLICY, rings: {} },
    rollout: null,
    lease: null,
    builds: [],
    now: 0,
  }
  const picture = async (): Promise<Picture> => ({
    ...pictureOf(empty),
    holds: [{ ring: null, by: 'ana', reason: words, at: '', expires: null }],
  })
  const news = {
    clock: systemClock,
    log: silentLogger,
    changed,
    version: () => version,
    tail: () => history.length,
    picture,
    history: async (limit: number) => history.slice(-limit).toReversed(),
  }
  const events = new EventStream(news, { ...LIMITS, gatherMs: 5, ...limits })
  const running = events.run(stop.signal)
  const routes = {
    '/api/v1/events': (_: URLSearchParams, exchange: Parameters<EventStream['open']>[0]) =>
      events.open(exchange, stop.signal),
  }
  const door = await openDoor({ listen: '127.0.0.1:0', hosts: [], routes, log: silentLogger })
  t.after(async () => {
    stop.abort()
    await running
    await door.close()
  })
  const say = (text: string): void => {
    words = text
    version += 1
    changed.ring()
  }
  const tell = (event: string): void => {
    history.push({ seq: history.length + 1, prev: '', at: '', by: 'ana', event, facts: {} })
    say(event)
  }
  return { address: door.address, events, say, tell, stop: () => stop.abort(new Error('enough')) }
}

test('a client that does not read is dropped before it costs much memory; the others are told everything', async (t) => {
  const { address, events, say } = await stream(t, { unreadBytes: 64 * 1024 })
  const [host = '', port = ''] = address.split(':')
  const lazy = connectSocket({ host, port: Number(port) })
  t.after(() => lazy.destroy())
  lazy.on('error', () => undefined)
  lazy.pause()
  lazy.write('GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const told: string[] = []
  await listenTo(t, address, {
    onTold: ({ event, data }) => {
      if (event === 'change') told.push((data as Picture).holds[0]?.reason.slice(0, 10) ?? '')
    },
  })
  await until('both listen', () => events.clients === 2)
  let said = 0
  await until('the lazy one is dropped', async () => {
    if (told.length < said) return false
    said += 1
    say(String(said).padStart(10, '0') + 'x'.repeat(256 * 1024))
    return events.clients === 1
  })
  await until('the other one has all of it', () => told.length === said)
  assert.deepEqual(
    told,
    told.map((_, i) => String(i + 1).padStart(10, '0')),
  )
})

test('beyond its limit it refuses, says so, and takes the next one in when one has gone', async (t) => {
  const { address, events } = await stream(t, { clients: 2 })
  const first = await listenTo(t, address)
  await listenTo(t, address)
  const refused = await fetch(`http://${address}/api/v1/events`)
  assert.equal(refused.status, 503)
  assert.equal(((await refused.json()) as { error: { code: string } }).error.code, 'too-many')
  first.close()
  await until('it has gone', () => events.clients === 1)
  await listenTo(t, address)
  assert.equal(events.clients, 2)
})

test('silence has a heartbeat, and the end of the daemon ends the stream', async (t) => {
  const { address, stop } = await stream(t, { heartbeatMs: 30 })
  const client = await listenTo(t, address)
  await until('it beats', () => client.beats() >= 3)
  assert.equal(client.told.length, 1, 'nothing but the first picture was told')
  stop()
  await client.ended
})

test('one who comes back after more than is kept is told to look at the history; one who missed less gets each entry once', async (t) => {
  const { address, tell } = await stream(t, { replay: 5 })
  for (let i = 1; i <= 20; i += 1) tell(`event-${i}`)
  const late = await listenTo(t, address, { lastId: '3' })
  await until('it is told', () => late.told.length === 2)
  assert.deepEqual(
    late.told.map(({ event, id }) => [event, id]),
    [
      ['reset', '3'],
      ['status', '20'],
    ],
  )
  const soon = await listenTo(t, address, { lastId: '17' })
  tell('event-21')
  await until('it is told', () => soon.told.some(({ id }) => id === '21'))
  const entries = soon.told.filter(({ event }) => event === 'history').map(({ data }) => (data as HistoryEntry).event)
  assert.deepEqual(entries, ['event-18', 'event-19', 'event-20', 'event-21'])
})

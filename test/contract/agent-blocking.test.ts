// Owns the proof that blocking queries wake, and stay asleep, the same on the embedded agent and on real Consul.
import assert from 'node:assert/strict'
import http from 'node:http'
import test, { type TestContext } from 'node:test'
import { consulWorlds } from '#test/support/consul.ts'
import { base64, type RawAnswer, raw, rawConsul } from '#test/support/raw-http.ts'

/** Long enough to tell a wake-up from a wait that ran out on a busy machine. */
const WAIT_MS = 400

interface Waited {
  readonly from: number
  readonly answer: RawAnswer
  readonly ms: number
}

/** A request that waits while `act` happens. @param waitMs how long at most, before Consul's jitter */
async function waiting(url: string, path: string, act: () => unknown, waitMs = 10_000): Promise<Waited> {
  const from = (await raw(url, 'GET', path)).index ?? 0
  const began = performance.now()
  const asked = raw(url, 'GET', `${path}${path.includes('?') ? '&' : '?'}index=${from}&wait=${waitMs}ms`)
  await act()
  return { from, answer: await asked, ms: performance.now() - began }
}

for (const world of consulWorlds()) {
  test(`${world.name}: blocking queries`, async (t: TestContext) => {
    const { url } = await world.start(t)
    const consul = rawConsul(url)
    const wakes = async (path: string, act: () => unknown) => {
      const { from, answer, ms } = await waiting(url, path, act)
      assert.ok(ms < 8_000, `woke only after ${ms} ms`)
      assert.ok((answer.index ?? 0) > from, `${answer.index} > ${from}`)
      return answer
    }
    const sleeps = async (path: string, act: () => unknown) => {
      const { from, answer, ms } = await waiting(url, path, act, WAIT_MS)
      assert.ok(ms >= WAIT_MS * 0.98, `woke after ${ms} ms`)
      assert.equal(answer.index, from)
      return answer
    }

    await t.test('whoever waits on an empty store hears of the very first write', async () => {
      const answer = await wakes('/v1/kv/w/a', () => consul.put('w/a', '1'))
      assert.equal(answer.status, 200)
    })
    await consul.put('w/b', '1')

    await t.test('a write to the key wakes its reader with the new value', async () => {
      const answer = await wakes('/v1/kv/w/a', () => consul.put('w/a', 'new'))
      assert.equal(JSON.parse(answer.text)[0].Value, base64('new'))
      await wakes('/v1/kv/w/a?raw', () => consul.put('w/a', 'newer'))
      await wakes('/v1/kv/w/a?stale', () => consul.put('w/a', 'newest'))
      await wakes('/v1/kv/w/a?consistent', () => consul.txn({ Verb: 'set', Key: 'w/a', Value: base64('txn') }))
    })

    await t.test('a write to another key, and a rewrite of the same value, wake nobody', async () => {
      await sleeps('/v1/kv/w/a', () => consul.put('w/b', '2'))
      await consul.put('w/a', 'same')
      await sleeps('/v1/kv/w/a', () => consul.put('w/a', 'same'))
    })

    await t.test('A9: the deletion of the key wakes its reader with a 404', async () => {
      await consul.put('w/deleted', 'x')
      const answer = await wakes('/v1/kv/w/deleted', () => consul.delete('w/deleted'))
      assert.equal(answer.status, 404)
    })

    await t.test(
      'A9: the reader of a missing key is woken by every write beside it, so such a key is polled',
      async () => {
        const answer = await wakes('/v1/kv/w/missing', () => consul.put('w/beside', String(Math.random())))
        assert.equal(answer.status, 404)
      },
    )

    await t.test('taking a lock, and the end of its session, wake the reader of the key', async () => {
      const session = await consul.session()
      await wakes('/v1/kv/w/a', () => consul.put(`w/a?acquire=${session}`, 'locked'))
      await sleeps('/v1/kv/w/a', () => consul.put(`w/a?acquire=${session}`, 'locked'))
      await wakes('/v1/kv/w/a', () => consul.destroy(session))
    })

    await t.test('a list wakes for every change below its prefix and for no other', async () => {
      await consul.put('l/a', '1')
      for (const query of ['?recurse', '?keys']) {
        await wakes(`/v1/kv/l/${query}`, () => consul.put('l/a', String(Math.random())))
        await wakes(`/v1/kv/l/${query}`, () => consul.put('l/b', 'x'))
        await wakes(`/v1/kv/l/${query}`, () => consul.delete('l/b'))
        await sleeps(`/v1/kv/l/${query}`, () => consul.put('other', String(Math.random())))
      }
      const answer = await wakes('/v1/kv/l/?recurse', () => consul.delete('l/?recurse'))
      assert.equal(answer.status, 404)
    })

    await t.test('sessions: the list wakes for a new one, not for a renewal', async () => {
      const session = await consul.session({ TTL: '60s' })
      await wakes('/v1/session/list', () => consul.session())
      await sleeps('/v1/session/list', () => consul.renew(session))
      await sleeps(`/v1/session/info/${session}`, () => consul.renew(session))
      const answer = await wakes(`/v1/session/info/${session}`, () => consul.destroy(session))
      assert.equal(answer.text, '[]')
    })

    await t.test('a wait that runs out answers the value as it is, at most a sixteenth late', async () => {
      const { ms, answer } = await waiting(url, '/v1/kv/w/a', () => {}, WAIT_MS)
      assert.equal(answer.status, 200)
      assert.ok(ms < WAIT_MS * (17 / 16) + 1_000, `${ms} ms`)
    })

    await t.test('A5: an index of 0, or none, does not wait; one in the future does', async () => {
      for (const query of ['?index=0&wait=10s', '?wait=10s', '?index=&wait=10s']) {
        const began = performance.now()
        assert.equal((await raw(url, 'GET', `/v1/kv/w/a${query}`)).status, 200)
        assert.ok(performance.now() - began < 5_000, query)
      }
      const began = performance.now()
      await raw(url, 'GET', `/v1/kv/w/a?index=1000000&wait=${WAIT_MS}ms`)
      assert.ok(performance.now() - began >= WAIT_MS * 0.98)
    })

    await t.test('an index from the past is answered at once, with the value of now', async () => {
      const answer = await raw(url, 'GET', '/v1/kv/w/a?index=1&wait=10s')
      assert.equal(answer.index, (await consul.entry('w/a'))?.ModifyIndex)
    })

    await t.test('a hundred watchers hear of one write', async () => {
      await consul.put('crowd', '0')
      const { index } = await consul.get('crowd')
      const waiters = Array.from({ length: 100 }, () => raw(url, 'GET', `/v1/kv/crowd?index=${index}&wait=20s`))
      await consul.put('crowd', '1')
      const answers = await Promise.all(waiters)
      assert.ok(answers.every((answer) => JSON.parse(answer.text)[0].Value === base64('1')))
    })

    await t.test('one that hangs up while it waits troubles nobody', async () => {
      const { index } = await consul.get('w/a')
      const hung = http.get(`${url}/v1/kv/w/a?index=${index}&wait=20s`)
      await new Promise((resolve) => hung.once('socket', (socket) => socket.once('connect', resolve)))
      hung.on('error', () => {})
      hung.destroy()
      await wakes('/v1/kv/w/a', () => consul.put('w/a', String(Math.random())))
    })
  })
}

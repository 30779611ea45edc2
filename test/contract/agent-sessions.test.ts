// Owns the proof that sessions and locks behave the same on the embedded agent and on real Consul.
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { consulWorlds } from '#test/support/consul.ts'
import { type RawConsul, raw, rawConsul } from '#test/support/raw-http.ts'
import { until } from '#test/support/until.ts'

const NOBODY = '00000000-0000-0000-0000-000000000000'

async function info(consul: RawConsul, id: string): Promise<Record<string, unknown> | undefined> {
  return JSON.parse((await raw(consul.url, 'GET', `/v1/session/info/${id}`)).text)[0]
}

for (const world of consulWorlds()) {
  test(`${world.name}: sessions and locks`, async (t: TestContext) => {
    const consul = rawConsul((await world.start(t)).url)

    await t.test('a session without a word has the defaults: release, 15 s lock-delay, the node check', async () => {
      const created = await raw(consul.url, 'PUT', '/v1/session/create')
      const session = await info(consul, JSON.parse(created.text).ID)
      assert.equal(session?.Behavior, 'release')
      assert.equal(session?.LockDelay, 15_000_000_000)
      assert.equal(session?.TTL, '')
      assert.deepEqual(session?.NodeChecks, ['serfHealth'])
      assert.equal(session?.ServiceChecks, null)
    })

    await t.test('a session is what was asked for, whatever the case of the fields', async () => {
      const body = { name: 'n', ttl: '11s', lockdelay: '250ms', behavior: 'delete', nodechecks: [] }
      const id = JSON.parse((await raw(consul.url, 'PUT', '/v1/session/create', body)).text).ID
      const session = await info(consul, id)
      const { CreateIndex, ModifyIndex, Node, ...rest } = session ?? {}
      assert.deepEqual(rest, {
        ID: id,
        Name: 'n',
        LockDelay: 250_000_000,
        Behavior: 'delete',
        TTL: '11s',
        NodeChecks: [],
        ServiceChecks: null,
      })
      assert.equal(CreateIndex, ModifyIndex)
      assert.equal(typeof Node, 'string')
    })

    await t.test('Checks, the older name that old clients send, counts too', async () => {
      const answer = await raw(consul.url, 'PUT', '/v1/session/create', { Checks: [] })
      assert.deepEqual((await info(consul, JSON.parse(answer.text).ID))?.NodeChecks, [])
    })

    await t.test('what no session can be is refused with the same words', async () => {
      const refusals = [
        [{ TTL: '5s' }, 500, /^Invalid Session TTL '5000000000', must be between \[10s=24h0m0s\]$/],
        [{ TTL: '100000s' }, 500, /^Invalid Session TTL '100000000000000'/],
        [{ TTL: 'abc' }, 500, /^Session TTL 'abc' invalid: time: invalid duration "?abc"?$/],
        [{ Behavior: 'x' }, 500, /^Invalid Behavior setting 'x'$/],
        [{ Node: 'elsewhere' }, 500, /^Missing node registration$/],
        [{ NodeChecks: ['nocheck'] }, 500, /^Missing check 'nocheck' registration$/],
        [{ LockDelay: 'abc' }, 400, /^Request decode failed: time: invalid duration "?abc"?$/],
        [{ TTL: 5 }, 400, /^Request decode failed: /],
        ['{bad', 400, /^Request decode failed: /],
        ['[]', 400, /^Request decode failed: /],
      ] as const
      for (const [body, status, text] of refusals) {
        const answer = await raw(consul.url, 'PUT', '/v1/session/create', body)
        assert.equal(answer.status, status, JSON.stringify(body))
        assert.match(answer.text, text)
      }
    })

    await t.test('a session that never was: no info, nothing to renew, and destroying it is fine', async () => {
      assert.equal(await info(consul, NOBODY), undefined)
      const renewed = await consul.renew(NOBODY)
      assert.deepEqual([renewed.status, renewed.text], [404, `Session id '${NOBODY}' not found`])
      assert.equal((await consul.destroy(NOBODY)).text, 'true')
      for (const path of ['info/short', 'info/']) {
        assert.ok((await raw(consul.url, 'GET', `/v1/session/${path}`)).status >= 400, path)
      }
      assert.equal((await consul.renew('short')).status, 500)
    })

    await t.test('the list has every session, with an index that can be waited on', async () => {
      const id = await consul.session()
      const answer = await raw(consul.url, 'GET', '/v1/session/list')
      const ids = (JSON.parse(answer.text) as { ID: string }[]).map((session) => session.ID)
      assert.ok(ids.includes(id))
      assert.deepEqual(ids, [...ids].sort())
      assert.ok((answer.index ?? 0) > 0)
      await consul.destroy(id)
      assert.ok(!(await raw(consul.url, 'GET', '/v1/session/list')).text.includes(id))
    })

    await t.test('renewing answers the session', async () => {
      const id = await consul.session({ TTL: '10s' })
      const answer = await consul.renew(id)
      assert.equal(answer.status, 200)
      assert.equal(JSON.parse(answer.text)[0].ID, id)
    })

    await t.test('a lock is held by one session: it may write again, nobody else may take it', async () => {
      const mine = await consul.session()
      const other = await consul.session()
      assert.equal((await consul.put(`held?acquire=${mine}`, 'one')).text, 'true')
      const first = await consul.entry('held')
      assert.deepEqual([first?.Session, first?.LockIndex], [mine, 1])
      assert.equal((await consul.put(`held?acquire=${other}`, 'two')).text, 'false')
      assert.equal((await consul.get('held?raw')).text, 'one')
      assert.equal((await consul.put(`held?acquire=${mine}`, 'three')).text, 'true')
      const again = await consul.entry('held')
      assert.deepEqual([again?.Session, again?.LockIndex], [mine, 1])
      assert.ok((again?.ModifyIndex ?? 0) > (first?.ModifyIndex ?? 0))
    })

    await t.test('releasing writes the value, and only the holder can', async () => {
      const mine = await consul.session()
      const other = await consul.session()
      await consul.put(`released?acquire=${mine}`, 'locked')
      assert.equal((await consul.put(`released?release=${other}`, 'x')).text, 'false')
      assert.equal((await consul.put(`released?release=${mine}`, 'free')).text, 'true')
      const entry = await consul.entry('released')
      assert.deepEqual([entry?.Session, entry?.LockIndex], [undefined, 1])
      assert.equal((await consul.get('released?raw')).text, 'free')
      assert.equal((await consul.put(`released?release=${mine}`, 'x')).text, 'false')
      assert.equal((await consul.put(`nokey?release=${mine}`, 'x')).text, 'false')
      assert.equal((await consul.put(`released?acquire=${other}`, 'mine')).text, 'true')
      assert.equal((await consul.entry('released'))?.LockIndex, 2)
    })

    await t.test('a lock with a session that is none is an error, not a false', async () => {
      for (const [session, text] of [
        [NOBODY, `invalid session "${NOBODY}"`],
        ['short', 'failed session lookup: index error: UUID must be 36 characters'],
        ['', 'missing session'],
      ]) {
        const answer = await consul.put(`unlockable?acquire=${session}`, 'x')
        assert.deepEqual([answer.status, answer.text], [500, text])
      }
    })

    await t.test('A24: a plain write goes over a held lock: locks are advisory', async () => {
      const mine = await consul.session()
      await consul.put(`advisory?acquire=${mine}`, 'mine')
      assert.equal((await consul.put('advisory', 'plain')).text, 'true')
      const entry = await consul.entry('advisory')
      assert.deepEqual([entry?.Session, entry?.LockIndex, entry?.Value], [mine, 0, 'cGxhaW4='])
    })

    await t.test('the end of a session releases its keys, or deletes them where it asked for that', async () => {
      const releasing = await consul.session()
      const deleting = await consul.session({ Behavior: 'delete' })
      await consul.put(`ends/released?acquire=${releasing}`, 'x')
      await consul.put(`ends/deleted?acquire=${deleting}`, 'x')
      const before = await consul.entry('ends/released')
      await consul.destroy(releasing)
      await consul.destroy(deleting)
      const after = await consul.entry('ends/released')
      assert.deepEqual([after?.Session, after?.Value, after?.LockIndex], [undefined, before?.Value, 1])
      assert.ok((after?.ModifyIndex ?? 0) > (before?.ModifyIndex ?? 0))
      assert.equal(await consul.entry('ends/deleted'), null)
    })

    await t.test(
      'A23: after the end of its holder a key cannot be locked for the lock-delay; a release frees it at once',
      async () => {
        const dying = await consul.session({ LockDelay: '1s' })
        const next = await consul.session()
        await consul.put(`delayed?acquire=${dying}`, 'x')
        await consul.put(`handed?acquire=${dying}`, 'x')
        await consul.put(`handed?release=${dying}`, 'x')
        await consul.destroy(dying)
        assert.equal((await consul.put(`handed?acquire=${next}`, 'y')).text, 'true')
        assert.equal((await consul.put(`delayed?acquire=${next}`, 'y')).text, 'false')
        const operation = { Verb: 'lock', Key: 'delayed', Value: 'eA==', Session: next }
        assert.match((await consul.txn(operation)).text, /failed to lock key \\"delayed\\" due to lock delay/)
        assert.equal((await consul.put('delayed', 'plain')).text, 'true')
        await until(
          'the lock-delay is over',
          async () => (await consul.put(`delayed?acquire=${next}`, 'y')).text === 'true',
        )
      },
    )

    await t.test('with lock-delay 0 a successor takes the lock at once', async () => {
      const dying = await consul.session({ LockDelay: '0s' })
      const next = await consul.session()
      await consul.put(`prompt?acquire=${dying}`, 'x')
      await consul.destroy(dying)
      assert.equal((await consul.put(`prompt?acquire=${next}`, 'y')).text, 'true')
    })
  })

  test(`${world.name}: a session that nobody renews ends after its TTL and not before, a renewed one lives`, async (t) => {
    const consul = rawConsul((await world.start(t, { minTtlMs: 500 })).url)
    const began = performance.now()
    const [left, kept] = await Promise.all([consul.session({ TTL: '500ms' }), consul.session({ TTL: '500ms' })])
    await consul.put(`left?acquire=${left}`, 'x')
    await consul.put(`kept?acquire=${kept}`, 'x')
    const renewed: number[] = []
    await until('the session has ended', async () => {
      renewed.push((await consul.renew(kept)).status)
      return (await consul.entry('left'))?.Session === undefined
    })
    assert.ok(performance.now() - began >= 500, 'ended before its TTL')
    assert.equal((await consul.renew(left)).status, 404)
    assert.ok(renewed.every((status) => status === 200))
    assert.equal((await consul.entry('kept'))?.Session, kept)
  })
}

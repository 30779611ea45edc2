// Owns the proof that transactions behave the same on the embedded agent and on real Consul.
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { consulWorlds } from '#test/support/consul.ts'
import { base64, raw, rawConsul } from '#test/support/raw-http.ts'

const NOBODY = '00000000-0000-0000-0000-000000000000'

interface TxnAnswer {
  readonly Results: readonly { KV: { Key: string; Value: string | null; ModifyIndex: number } }[] | null
  readonly Errors: readonly { OpIndex: number; What: string }[] | null
}

for (const world of consulWorlds()) {
  test(`${world.name}: transactions`, async (t: TestContext) => {
    const consul = rawConsul((await world.start(t)).url)
    /** The errors of a transaction that must be refused, as `operation: what`. */
    const refused = async (...operations: readonly object[]) => {
      const answer = await consul.txn(...operations)
      const body: TxnAnswer = JSON.parse(answer.text)
      assert.equal(answer.status, 409)
      assert.equal(body.Results, null)
      return (body.Errors ?? []).map((error) => `${error.OpIndex}: ${error.What}`)
    }
    const accepted = async (...operations: readonly object[]) => {
      const answer = await consul.txn(...operations)
      assert.equal(answer.status, 200, answer.text)
      const body: TxnAnswer = JSON.parse(answer.text)
      assert.equal(body.Errors, null)
      return (body.Results ?? []).map((result) => result.KV)
    }

    await t.test(
      'all operations take effect at one index; writes come back without their values, reads with',
      async () => {
        const results = await accepted(
          { Verb: 'set', Key: 'all/a', Value: base64('hello'), Flags: 7 },
          { Verb: 'set', Key: 'all/b', Value: base64('x') },
          { Verb: 'get', Key: 'all/a' },
          { Verb: 'delete', Key: 'all/none' },
        )
        assert.deepEqual(
          results.map((result) => [result.Key, result.Value]),
          [
            ['all/a', null],
            ['all/b', null],
            ['all/a', base64('hello')],
          ],
        )
        assert.equal(new Set(results.map((result) => result.ModifyIndex)).size, 1)
        assert.equal((await consul.entry('all/a'))?.Flags, 7)
      },
    )

    await t.test('one refused operation, and nothing of the others is written', async () => {
      const errors = await refused(
        { Verb: 'set', Key: 'none/a', Value: base64('x') },
        { Verb: 'get', Key: 'none/missing' },
        { Verb: 'cas', Key: 'none/b', Value: base64('x'), Index: 9 },
      )
      assert.deepEqual(errors, [
        '1: key "none/missing" doesn\'t exist',
        '2: failed to set key "none/b", index is stale',
      ])
      assert.equal(await consul.entry('none/a'), null)
    })

    await t.test('later operations see what earlier ones wrote', async () => {
      const results = await accepted(
        { Verb: 'set', Key: 'seen', Value: base64('1') },
        { Verb: 'get', Key: 'seen' },
        { Verb: 'delete', Key: 'seen' },
        { Verb: 'check-not-exists', Key: 'seen' },
      )
      assert.equal(results[1]?.Value, base64('1'))
    })

    await t.test('compare-and-set and compare-and-delete inside a transaction', async () => {
      const [made] = await accepted({ Verb: 'cas', Key: 'tcas', Value: base64('1'), Index: 0 })
      assert.deepEqual(await refused({ Verb: 'cas', Key: 'tcas', Value: base64('2'), Index: 0 }), [
        '0: failed to set key "tcas", index is stale',
      ])
      assert.deepEqual(await refused({ Verb: 'delete-cas', Key: 'tcas', Index: 1 }), [
        '0: failed to delete key "tcas", index is stale',
      ])
      await accepted({ Verb: 'delete-cas', Key: 'tcas-none', Index: 4 })
      await accepted({ Verb: 'delete-cas', Key: 'tcas', Index: made?.ModifyIndex })
      assert.equal(await consul.entry('tcas'), null)
    })

    await t.test('check-index holds a write to what was read', async () => {
      await consul.put('fence', 'x')
      const index = (await consul.entry('fence'))?.ModifyIndex ?? 0
      const write = { Verb: 'set', Key: 'fenced', Value: base64('x') }
      await accepted({ Verb: 'check-index', Key: 'fence', Index: index }, write)
      await consul.put('fence', 'y')
      const now = (await consul.entry('fence'))?.ModifyIndex
      assert.deepEqual(await refused({ Verb: 'check-index', Key: 'fence', Index: index }, write), [
        `0: failed index check for key "fence", current modify index ${now} != ${index}`,
      ])
      for (const Index of [0, 1]) {
        assert.deepEqual(await refused({ Verb: 'check-index', Key: 'fence-none', Index }), [
          '0: failed to check index, key "fence-none" doesn\'t exist',
        ])
      }
    })

    await t.test('check-not-exists holds a write to there being nothing', async () => {
      await accepted({ Verb: 'check-not-exists', Key: 'hold' }, { Verb: 'set', Key: 'unheld', Value: base64('x') })
      await consul.put('hold', 'x')
      assert.deepEqual(await refused({ Verb: 'check-not-exists', Key: 'hold' }), ['0: key "hold" exists'])
    })

    await t.test('locks inside a transaction', async () => {
      const mine = await consul.session()
      const other = await consul.session()
      await accepted({ Verb: 'lock', Key: 'tlock', Value: base64('x'), Session: mine })
      assert.deepEqual(await refused({ Verb: 'lock', Key: 'tlock', Value: base64('y'), Session: other }), [
        '0: failed to lock key "tlock", lock is already held',
      ])
      assert.deepEqual(await refused({ Verb: 'lock', Key: 'tlock', Value: base64('y'), Session: NOBODY }), [
        `0: invalid session "${NOBODY}"`,
      ])
      assert.deepEqual(await refused({ Verb: 'lock', Key: 'tlock', Value: base64('y') }), ['0: missing session'])
      assert.deepEqual(await refused({ Verb: 'unlock', Key: 'tlock', Value: base64('y'), Session: other }), [
        '0: failed to unlock key "tlock", lock isn\'t held, or is held by another session',
      ])
      await accepted({ Verb: 'unlock', Key: 'tlock', Value: base64('free'), Session: mine })
      const entry = await consul.entry('tlock')
      assert.deepEqual([entry?.Session, entry?.LockIndex, entry?.Value], [undefined, 1, base64('free')])
    })

    await t.test('A22: a holder whose session was destroyed writes nothing more', async () => {
      const old = await consul.session()
      const next = await consul.session()
      await consul.put(`lease?acquire=${old}`, 'old')
      await consul.put('target', 'before')
      const fenced = (session: string, value: string) =>
        [
          { Verb: 'check-session', Key: 'lease', Session: session },
          { Verb: 'set', Key: 'target', Value: base64(value) },
        ] as const
      await accepted(...fenced(old, 'by the holder'))
      await consul.destroy(old)
      assert.deepEqual(await refused(...fenced(old, 'by a zombie')), [
        `0: failed session check for key "lease", current session "" != "${old}"`,
      ])
      await consul.put(`lease?acquire=${next}`, 'next')
      assert.deepEqual(await refused(...fenced(old, 'by a zombie')), [
        `0: failed session check for key "lease", current session "${next}" != "${old}"`,
      ])
      assert.equal((await consul.get('target?raw')).text, 'by the holder')
      assert.deepEqual(await refused({ Verb: 'check-session', Key: 'lease-none', Session: old }), [
        '0: failed to check session, key "lease-none" doesn\'t exist',
      ])
    })

    await t.test('trees are read and deleted whole', async () => {
      for (const key of ['ttree/a', 'ttree/b']) await consul.put(key, key)
      const results = await accepted({ Verb: 'get-tree', Key: 'ttree/' }, { Verb: 'get-tree', Key: 'ttree-none/' })
      assert.deepEqual(
        results.map((result) => [result.Key, result.Value]),
        [
          ['ttree/a', base64('ttree/a')],
          ['ttree/b', base64('ttree/b')],
        ],
      )
      await accepted({ Verb: 'delete-tree', Key: 'ttree/' })
      assert.equal((await consul.get('ttree/?recurse')).status, 404)
    })

    await t.test('A20: 64 operations are taken, 65 are a 413, and so is a body above 512 KiB', async () => {
      const operations = Array.from({ length: 65 }, (_, i) => ({ Verb: 'set', Key: `many/${i}`, Value: '' }))
      assert.equal((await consul.txn(...operations.slice(1))).status, 200)
      const refusal = await consul.txn(...operations)
      assert.deepEqual([refusal.status, refusal.text], [413, 'Transaction contains too many operations (65 > 64)'])
      const big = await consul.txn({ Verb: 'set', Key: 'toobig', Value: 'A'.repeat(600_000) })
      assert.equal(big.status, 413)
      assert.match(big.text, /too large, max size: 524288 bytes.*txn_max_req_len/)
      assert.equal(await consul.entry('toobig'), null)
    })

    await t.test('what is no transaction is refused before anything is tried', async () => {
      for (const body of ['', 'x', '{}', '[{"Foo":{}}]', '[{"KV":{"Verb":"set","Key":"k","Value":"***"}}]']) {
        const answer = await raw(consul.url, 'PUT', '/v1/txn', body)
        assert.equal(answer.status, 400, body)
        assert.match(answer.text, /^Failed to parse body: /)
      }
      for (const [field, value] of [
        ['Index', '1'],
        ['Extra', 1],
      ] as const) {
        const operation = { Verb: 'set', Key: 'k', Value: '', [field]: value }
        assert.equal((await consul.txn(operation)).status, 400, field)
      }
      assert.deepEqual(await refused({ Verb: 'bogus', Key: 'k' }), ['0: unknown KV verb "bogus"'])
      assert.deepEqual(await refused({ Verb: 'set', Key: '', Value: '' }), ['0: Must provide key'])
      assert.equal((await raw(consul.url, 'PUT', '/v1/txn', '[]')).status, 200)
      assert.equal((await raw(consul.url, 'GET', '/v1/txn')).status, 405)
    })

    await t.test('one that only reads says who led, one that writes does not', async () => {
      await consul.put('led', 'x')
      const read = await consul.txn({ Verb: 'get', Key: 'led' })
      assert.equal(read.headers.get('x-consul-knownleader'), 'true')
      assert.equal(JSON.parse(read.text).KnownLeader, true)
      const write = await consul.txn({ Verb: 'set', Key: 'led', Value: '' })
      assert.equal(write.headers.get('x-consul-knownleader'), null)
    })
  })
}

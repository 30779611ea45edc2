// Owns the proof that keys behave the same on the embedded agent and on real Consul.
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { consulWorlds } from '#test/support/consul.ts'
import { raw, rawConsul } from '#test/support/raw-http.ts'

for (const world of consulWorlds()) {
  test(`${world.name}: keys`, async (t: TestContext) => {
    const consul = rawConsul((await world.start(t)).url)

    await t.test('a key that was never written is a 404 with an index that can be waited on', async () => {
      const answer = await consul.get('never/written')
      assert.equal(answer.status, 404)
      assert.equal(answer.text, '')
      assert.ok((answer.index ?? 0) >= 1)
      assert.equal(answer.headers.get('x-consul-knownleader'), 'true')
      assert.equal(answer.headers.get('x-consul-lastcontact'), '0')
    })

    await t.test('what was written is read back with its flags, indexes and content type', async () => {
      const written = await consul.put('read/back?flags=42', 'hello')
      assert.deepEqual([written.status, written.text], [200, 'true'])
      assert.equal(written.headers.get('content-type'), 'application/json')
      const entry = await consul.entry('read/back')
      assert.deepEqual(
        { ...entry, CreateIndex: 0, ModifyIndex: 0 },
        { LockIndex: 0, Key: 'read/back', Flags: 42, Value: 'aGVsbG8=', CreateIndex: 0, ModifyIndex: 0 },
      )
      assert.equal(entry?.CreateIndex, entry?.ModifyIndex)
      const answer = await consul.get('read/back')
      assert.equal(answer.headers.get('content-type'), 'application/json')
      assert.equal(answer.index, entry?.ModifyIndex)
    })

    await t.test('a rewrite raises the modify index and keeps the create index', async () => {
      await consul.put('rewritten', '1')
      const before = await consul.entry('rewritten')
      await consul.put('rewritten', '2')
      const after = await consul.entry('rewritten')
      assert.equal(after?.CreateIndex, before?.CreateIndex)
      assert.ok((after?.ModifyIndex ?? 0) > (before?.ModifyIndex ?? 0))
    })

    await t.test('an identical rewrite says true and changes no index, so it wakes nobody', async () => {
      await consul.put('same', 'x')
      const before = await consul.entry('same')
      assert.equal((await consul.put('same', 'x')).text, 'true')
      assert.deepEqual(await consul.entry('same'), before)
      await consul.put('same?flags=1', 'x')
      assert.notEqual((await consul.entry('same'))?.ModifyIndex, before?.ModifyIndex)
    })

    await t.test('an empty value is null, and no bytes when read raw', async () => {
      await consul.put('empty', '')
      assert.equal((await consul.entry('empty'))?.Value, null)
      const answer = await consul.get('empty?raw')
      assert.deepEqual([answer.status, answer.text], [200, ''])
    })

    await t.test('a raw read gives the bytes, and forbids a browser to take them for a page', async () => {
      await consul.put('bytes', new Uint8Array([0, 255, 60, 104]))
      const answer = await fetch(`${consul.url}/v1/kv/bytes?raw`)
      assert.deepEqual([...new Uint8Array(await answer.arrayBuffer())], [0, 255, 60, 104])
      assert.equal(answer.headers.get('content-type'), 'text/plain')
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
      assert.equal(answer.headers.get('content-security-policy'), 'sandbox')
      assert.ok(answer.headers.get('x-consul-index'))
    })

    await t.test('flags use all 64 bits, and more is refused', async () => {
      await consul.put('flags?flags=18446744073709551615', 'x')
      assert.match((await consul.get('flags')).text, /"Flags":\s*18446744073709551615/)
      assert.equal((await consul.put('flags?flags=18446744073709551616', 'x')).status, 500)
      assert.equal((await consul.put('flags?flags=abc', 'x')).status, 500)
    })

    await t.test('names with spaces, slashes in escapes and other scripts are the names that were meant', async () => {
      await consul.put('odd%20name/%C3%A9', 'x')
      await consul.put('odd%2Fslash', 'x')
      assert.deepEqual(JSON.parse((await consul.get('odd%20name/?keys')).text), ['odd name/é'])
      assert.equal((await consul.entry('odd/slash'))?.Key, 'odd/slash')
    })

    await t.test('a list has every key below the prefix in order, and is a 404 when there is none', async () => {
      for (const key of ['list/b', 'list/a', 'list/c/d', 'listless']) await consul.put(key, key)
      const answer = await consul.get('list/?recurse')
      const keys = (JSON.parse(answer.text) as { Key: string }[]).map((entry) => entry.Key)
      assert.deepEqual(keys, ['list/a', 'list/b', 'list/c/d'])
      assert.equal((await consul.get('nolist/?recurse')).status, 404)
      assert.equal((await consul.get('nolist/?keys')).status, 404)
    })

    await t.test('names can be cut at a separator', async () => {
      for (const key of ['cut/a', 'cut/b/c', 'cut/b/d', 'cut/e/']) await consul.put(key, 'x')
      assert.deepEqual(JSON.parse((await consul.get('cut/?keys&separator=/')).text), ['cut/a', 'cut/b/', 'cut/e/'])
      assert.deepEqual(JSON.parse((await consul.get('cut/b?keys&separator=/')).text), ['cut/b/'])
      assert.deepEqual(JSON.parse((await consul.get('cut/?keys')).text), ['cut/a', 'cut/b/c', 'cut/b/d', 'cut/e/'])
    })

    await t.test("a list's index is the highest of its keys, and never falls when one is deleted", async () => {
      await consul.put('index/a', 'x')
      const last = await consul.entry('index/a')
      await consul.put('elsewhere', String(Math.random()))
      assert.equal((await consul.get('index/?recurse')).index, last?.ModifyIndex)
      await consul.put('index/b', 'x')
      const before = (await consul.get('index/?recurse')).index ?? 0
      await consul.delete('index/b')
      const after = (await consul.get('index/?recurse')).index ?? 0
      assert.ok(after > before, `${after} > ${before}`)
      assert.equal((await consul.get('index/?keys')).index, after)
    })

    await t.test('compare-and-set: only over the index that was read, 0 only where there is nothing', async () => {
      assert.equal((await consul.put('cas?cas=7', 'x')).text, 'false')
      assert.equal((await consul.put('cas?cas=0', 'first')).text, 'true')
      assert.equal((await consul.put('cas?cas=0', 'second')).text, 'false')
      const entry = await consul.entry('cas')
      assert.equal((await consul.put(`cas?cas=${(entry?.ModifyIndex ?? 0) - 1}`, 'stale')).text, 'false')
      assert.equal((await consul.put(`cas?cas=${entry?.ModifyIndex}`, 'next')).text, 'true')
      assert.equal((await consul.get('cas?raw')).text, 'next')
      assert.equal((await consul.put('cas?cas=abc', 'x')).status, 500)
    })

    await t.test('deleting: what is gone already counts as done, compare-and-delete only at its index', async () => {
      assert.equal((await consul.delete('gone')).text, 'true')
      assert.equal((await consul.delete('gone?cas=3')).text, 'true')
      await consul.put('kept', 'x')
      assert.equal((await consul.delete('kept?cas=1')).text, 'false')
      assert.equal((await consul.delete('kept?cas=0')).text, 'false')
      const entry = await consul.entry('kept')
      assert.equal((await consul.delete(`kept?cas=${entry?.ModifyIndex}`)).text, 'true')
      assert.equal(await consul.entry('kept'), null)
    })

    await t.test('deleting a tree takes every key below the prefix and no other', async () => {
      for (const key of ['tree/a', 'tree/b/c', 'treetop']) await consul.put(key, 'x')
      assert.equal((await consul.delete('tree/?recurse')).text, 'true')
      assert.equal((await consul.get('tree/?recurse')).status, 404)
      assert.ok(await consul.entry('treetop'))
    })

    await t.test('A20: a value of 512 KiB is kept, one byte more is a 413 that names the limit', async () => {
      assert.equal((await consul.put('big', new Uint8Array(524_288))).text, 'true')
      const refused = await consul.put('bigger', new Uint8Array(524_289))
      assert.equal(refused.status, 413)
      assert.match(refused.text, /Request body\(524289 bytes\) too large, max size: 524288 bytes/)
      assert.equal(await consul.entry('bigger'), null)
    })

    await t.test('what cannot be meant is refused with the same words', async () => {
      const refusals = [
        ['PUT', '/v1/kv/', 400, 'Missing key name'],
        ['GET', '/v1/kv/', 400, 'Missing key name'],
        ['DELETE', '/v1/kv/', 400, 'Missing key name'],
        ['GET', '/v1/kv/a?index=abc', 400, 'Invalid index'],
        ['GET', '/v1/kv/a?index=1&wait=abc', 400, 'Invalid wait time'],
        ['GET', '/v1/kv/a?index=1&wait=5', 400, 'Invalid wait time'],
        ['GET', '/v1/kv/a?stale&consistent', 400, 'Cannot specify ?stale with ?consistent, conflicting semantics.'],
        ['GET', '/v1/kv/a?dc=elsewhere', 500, 'No path to datacenter'],
        ['PUT', '/v1/kv/a?acquire=x&cas=1', 400, 'Conflicting flags: acquire=x&cas=1'],
        ['DELETE', '/v1/kv/a?recurse&cas=1', 400, 'Conflicting flags: cas=1&recurse='],
        ['POST', '/v1/kv/a', 405, 'method POST not allowed'],
        ['PUT', '/v1/status/leader', 405, 'method PUT not allowed'],
        ['GET', '/v1/nonsense', 404, ''],
        ['GET', '/v1/KV/a', 404, ''],
      ] as const
      for (const [method, path, status, text] of refusals) {
        const answer = await raw(consul.url, method, path)
        assert.deepEqual([answer.status, answer.text], [status, text], `${method} ${path}`)
      }
      assert.equal((await raw(consul.url, 'POST', '/v1/kv/a')).headers.get('allow'), 'OPTIONS,GET,PUT,DELETE')
    })

    await t.test('a path in another spelling is redirected, never read as a key that is gone', async () => {
      for (const [path, location] of [
        ['/v1/kv/a//b', '/v1/kv/a/b'],
        ['/v1/kv', '/v1/kv/'],
        ['/', '/ui/'],
      ] as const) {
        const answer = await raw(consul.url, 'GET', path)
        assert.deepEqual([answer.status, answer.headers.get('location')], [301, location], path)
      }
    })

    await t.test('who leads, and which agent this is', async () => {
      const leader = JSON.parse((await raw(consul.url, 'GET', '/v1/status/leader')).text)
      assert.match(leader, /^127\.\d+\.\d+\.\d+:\d+$/)
      assert.deepEqual(JSON.parse((await raw(consul.url, 'GET', '/v1/status/peers')).text), [leader])
      const self = JSON.parse((await raw(consul.url, 'GET', '/v1/agent/self')).text)
      assert.equal(self.Config.Version, '1.8.7')
      assert.equal(self.Config.Server, true)
    })

    await t.test('an emptied store lists no names with a 200, but no entries with a 404', async () => {
      await consul.delete('?recurse')
      const names = await consul.get('?keys')
      assert.deepEqual([names.status, names.text], [200, '[]'])
      assert.equal((await consul.get('?recurse')).status, 404)
    })
  })
}

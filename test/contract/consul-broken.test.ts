// Owns what an answer that breaks off says: nothing, whatever its status was.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { connect } from '#test/support/connect.ts'
import { kvAbsent, startLyingConsul } from '#test/support/lying-consul.ts'
import { code } from '#test/support/ports.ts'

test('A9: a 404 that breaks off says nothing of the key', async (t: TestContext) => {
  const lying = await startLyingConsul(t, () => ({ ...kvAbsent(7), body: 'no such', ending: 'cut' }))
  const { client, signal } = connect(t, { url: lying.url })
  await assert.rejects(client.get('k', signal), code('CONSUL_UNREACHABLE'))
  await assert.rejects(client.list('k', signal), code('CONSUL_UNREACHABLE'))
})

// Owns the proof of who may reach the puller's control socket.
import assert from 'node:assert/strict'
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { askControl, openControl } from '#puller/shell/listen.ts'
import { tmp } from '#test/support/tmp.ts'

const answer = async () => ({ code: 200, body: { here: true } })

test('the control socket answers the owner of the root, and lies where nobody else may enter', async (t: TestContext) => {
  const root = await tmp(t)
  mkdirSync(join(root, '.hotcold'))
  const control = await openControl(root, answer)
  t.after(() => control.close())
  assert.deepEqual((await askControl(root, 'GET', '/status', 5_000))?.body, { here: true })
  assert.equal(statSync(join(root, '.hotcold/control')).mode & 0o777, 0o700)
})

// Owns the story of the pipe: `conduct … | head` is how people look, and a reader that has seen enough is no error.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startConsul } from '#test/support/consul.ts'
import { run } from '#test/support/fleet.ts'

const CONDUCT = join(import.meta.dirname, '../../conductor/conduct')

test('a verb whose reader goes away ends quietly, and so does watch', async (t) => {
  const consul = await startConsul(t)
  const env = { CONSUL: consul.url, CONDUCT }
  const common = '--app web --consul "$CONSUL"'
  assert.equal((await run(['sh', '-c', `"$CONDUCT" init ${common} --ring production`], { env })).code, 0)
  for (const verb of ['history', 'status --json', 'watch']) {
    // `true` never reads: the first write meets a closed pipe. The limit only ends a watch that would go on for ever.
    const said = await run(['bash', '-c', `timeout 60 "$CONDUCT" ${verb} ${common} | true; exit "\${PIPESTATUS[0]}"`], {
      env,
    })
    assert.ok(said.code !== 70 && said.code !== 124, `${verb} ended with ${said.code}`)
    assert.equal(said.stderr, '', verb)
  }
})

// Owns the proof that a program which gives memory back has less afterwards, gives nobody else the collector, and still ends when it is asked to.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { end, ended, mortal } from '#test/support/child.ts'
import { PROJECT } from '#test/support/source.ts'

const PROGRAM = `
  import { giveMemoryBack } from '${PROJECT}adapters/runtime/memory.ts'
  let work = Array.from({ length: 300_000 }, (_, n) => ({ n, text: 'x' + n }))
  const before = process.memoryUsage().heapTotal
  work = null
  giveMemoryBack()
  const after = process.memoryUsage().heapTotal
  process.on('SIGTERM', () => process.exit(0))
  setInterval(() => {}, 1_000)
  process.stdout.end(JSON.stringify({ before, after, gc: typeof globalThis.gc }))`

test('memory is given back, the collector stays out of reach, and the program ends when it is asked to', async (t: TestContext) => {
  const child = spawn(...mortal(process.execPath, '--input-type=module', '-e', PROGRAM), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => end(child, 'SIGKILL'))
  assert.ok(child.stdout)
  const { before, after, gc } = JSON.parse(await text(child.stdout)) as Record<string, number | string>
  assert.ok(Number(after) < Number(before) / 2, `${before} bytes of heap before, ${after} after`)
  assert.equal(gc, 'undefined')
  child.kill('SIGTERM')
  assert.equal(await ended(child), 0)
})

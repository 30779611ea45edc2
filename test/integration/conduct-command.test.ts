// Owns the proof of how a command of the plan is run: what counts as a pass, its limit, and that nothing of it is left behind.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { type CommandEnd, runCommand } from '#conductor/shell/command.ts'
import { isFleetError } from '#fleet/errors.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

const PATH = process.env.PATH ?? ''

async function shell(t: TestContext, script: string, timeoutMs = 30_000, signal = new AbortController().signal) {
  const cwd = await tmp(t, 'command')
  const run = (): Promise<CommandEnd> =>
    runCommand({ argv: ['sh', '-c', script], cwd, env: { PATH, GREETING: 'hello' }, timeoutMs }, systemClock, signal)
  return { cwd, run }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const pidIn = async (file: string): Promise<number> => Number(await readFile(file, 'utf8').catch(() => '0'))

test('exit 0 is the only pass; any other end says how, with the last line that was printed', async (t) => {
  const end = async (script: string) => {
    const { passed, message } = await (await shell(t, script)).run()
    return { passed, message }
  }
  assert.deepEqual(await end('echo "$GREETING"'), { passed: true, message: 'exit 0: hello' })
  assert.deepEqual(await end('echo fine; echo "no login" >&2; exit 3'), { passed: false, message: 'exit 3: no login' })
  assert.deepEqual(await end('kill -SEGV $$'), { passed: false, message: 'ended by SIGSEGV' })
  assert.deepEqual(await end('printf "\\033[31mred\\033[0m\\n\\n"; exit 1'), { passed: false, message: 'exit 1: red' })
})

test('F18: what runs too long is ended with all that it started, also what ignores TERM', async (t) => {
  const { cwd, run } = await shell(t, 'trap "" TERM; sleep 300 & echo $! > child; echo waiting; wait', 300)
  const { passed, message } = await run()
  assert.equal(passed, false)
  assert.equal(message, 'it ran longer than 300 ms: waiting')
  const pid = await pidIn(join(cwd, 'child'))
  assert.ok(pid > 0)
  await until('its child is gone', () => !lives(pid))
})

test('what a command leaves behind when it ends is ended too, and does not keep anybody waiting', async (t) => {
  const { cwd, run } = await shell(t, 'sleep 300 & echo $! > child')
  assert.equal((await run()).passed, true)
  const pid = await pidIn(join(cwd, 'child'))
  assert.ok(pid > 0)
  await until('its child is gone', () => !lives(pid))
})

test('a signal ends it, and what it would have said counts for nothing', async (t) => {
  const stop = new AbortController()
  const { cwd, run } = await shell(t, 'echo $$ > self; sleep 300', 30_000, stop.signal)
  const running = run()
  await until('it runs', async () => (await pidIn(join(cwd, 'self'))) > 0)
  stop.abort(new Error('the soak is over'))
  await assert.rejects(running, /the soak is over/)
  const pid = await pidIn(join(cwd, 'self'))
  await until('it is gone', () => !lives(pid))
})

test('a command that cannot be started is an error that names it and the folder', async (t) => {
  const cwd = await tmp(t, 'command')
  const order = { argv: ['./absent.sh', '-x'], cwd, env: {}, timeoutMs: 1_000 }
  await assert.rejects(runCommand(order, systemClock, new AbortController().signal), (error: unknown) => {
    assert.ok(isFleetError(error, 'SPAWN_FAILED'))
    assert.equal(error.message, `cannot start ./absent.sh -x in ${cwd} (ENOENT)`)
    return true
  })
})

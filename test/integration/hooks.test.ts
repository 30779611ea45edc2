// Owns the proof that a hook, whatever it does, ends in time, leaves nothing behind and says what went wrong.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chmod, readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { describeError, FleetError } from '#fleet/errors.ts'
import type { Clock } from '#fleet/ports.ts'
import { type HookEnvironment, runHook } from '#puller/shell/hooks.ts'
import { lives, processFacts } from '#puller/shell/processes.ts'
import { run } from '../support/fleet.ts'
import { hurried } from '../support/hurry.ts'
import { recordedLog } from '../support/recorded-log.ts'
import { tmp } from '../support/tmp.ts'
import { until } from '../support/until.ts'

function envOf(root: string): HookEnvironment {
  return {
    app: 'web',
    ring: 'production',
    node: 'web-1',
    build: 'b2',
    previous: 'b1',
    generation: 57,
    rollout: 'r-7',
    root,
    phase: 'restarting',
    attempt: 2,
  }
}

interface Options {
  readonly clock?: Clock
  readonly timeoutSeconds?: number
  readonly signal?: AbortSignal
}

async function world(t: TestContext) {
  const root = await realpath(await tmp(t, 'hooks'))
  const { log, lines } = recordedLog()
  const hook = (argv: readonly string[], { clock = systemClock, timeoutSeconds = 20, signal }: Options = {}) =>
    runHook('afterSwap', { argv, timeoutSeconds }, envOf(root), { clock, log }, signal ?? new AbortController().signal)
  const sh = (script: string, options: Options = {}) => hook(['sh', '-c', script], options)
  const pidIn = (name: string) =>
    until(`a pid in ${name}`, async () => {
      const pid = Number(await readFile(join(root, name), 'utf8').catch(() => ''))
      return pid > 0 ? pid : null
    })
  const failure = async (running: Promise<unknown>): Promise<FleetError> => {
    const error = await running.then(
      () => assert.fail('the hook succeeded'),
      (thrown: unknown) => thrown,
    )
    assert.ok(error instanceof FleetError, describeError(error))
    return error
  }
  return { root, lines, hook, sh, pidIn, failure }
}

function gone(pid: number): boolean {
  return !lives(processFacts(pid))
}

test('a hook runs in the root, without a shell, without input, and is told what is going on', async (t: TestContext) => {
  const { root, hook, sh } = await world(t)
  const told = await sh('pwd; env | grep ^HOTCOLD_ | sort; cat')
  assert.deepEqual(told.output.trim().split('\n'), [
    root,
    'HOTCOLD_APP=web',
    'HOTCOLD_ATTEMPT=2',
    'HOTCOLD_BUILD=b2',
    'HOTCOLD_GENERATION=57',
    'HOTCOLD_NODE=web-1',
    'HOTCOLD_PHASE=restarting',
    'HOTCOLD_PREVIOUS=b1',
    'HOTCOLD_RING=production',
    'HOTCOLD_ROLLOUT=r-7',
    `HOTCOLD_ROOT=${root}`,
  ])
  const literal = await hook(['echo', '$HOME;', '*'])
  assert.equal(literal.output, '$HOME; *\n')
})

test('a hook that fails is an error with its exit code and its last words, fit for one line', async (t: TestContext) => {
  const { sh, failure } = await world(t)
  const error = await failure(sh('echo starting; printf "\\033[31mno such\\tunit: web\\n\\n" >&2; exit 3'))
  assert.equal(error.code, 'HOOK_FAILED')
  assert.equal(error.message, 'hook afterSwap exited with 3; last output: no such unit: web')
})

test('a hook that dies of a signal is an error that names the signal', async (t: TestContext) => {
  const { sh, failure } = await world(t)
  const error = await failure(sh('kill -SEGV $$'))
  assert.equal(error.code, 'HOOK_FAILED')
  assert.equal(error.message, 'hook afterSwap was ended by SIGSEGV')
})

test('F18: a hook that hangs is ended at its limit, with everything it started', async (t: TestContext) => {
  const { sh, pidIn, failure } = await world(t)
  const running = failure(sh('sleep 600 & echo $! > child; echo waiting; wait', { timeoutSeconds: 0.5 }))
  const child = await pidIn('child')
  const error = await running
  assert.equal(error.code, 'HOOK_TIMEOUT')
  assert.equal(error.message, 'hook afterSwap ran longer than 500 ms and was ended; last output: waiting')
  assert.ok(gone(child), 'its child still runs')
})

test('F18: a hook that ignores TERM is killed after 10 s of grace, not before', async (t: TestContext) => {
  const { root, sh, pidIn, failure } = await world(t)
  const clock = hurried(20)
  // It answers TERM by noting it, and goes on; so does its child.
  const script = `trap 'echo got-term >> ${root}/log' TERM
    sh -c 'trap "" TERM; echo $$ > child; while :; do sleep 0.05; done' & echo $$ > self
    while :; do sleep 0.05; done`
  const startedMs = clock.monotonic()
  const running = failure(sh(script, { clock, timeoutSeconds: 10 }))
  const pids = [await pidIn('self'), await pidIn('child')]
  assert.equal((await running).code, 'HOOK_TIMEOUT')
  const tookMs = clock.monotonic() - startedMs
  assert.ok(tookMs >= 20_000, `killed after ${tookMs} ms: 10 s of limit and 10 s of grace were promised`)
  assert.match(await readFile(join(root, 'log'), 'utf8'), /got-term/)
  assert.deepEqual(pids.map(gone), [true, true])
})

test('F18: a hook that prints without end is ended at its limit and costs 64 KiB', async (t: TestContext) => {
  const { sh, failure } = await world(t)
  const before = process.memoryUsage().rss
  const error = await failure(sh('yes "the same line again and again"', { timeoutSeconds: 1 }))
  assert.equal(error.code, 'HOOK_TIMEOUT')
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 100 * 2 ** 20, `memory grew by ${grown} bytes`)
})

test('F18: of a flood of output the end is kept', async (t: TestContext) => {
  const { sh } = await world(t)
  const { output } = await sh('head -c 50000000 /dev/zero | tr "\\0" x; echo; echo the end >&2')
  assert.ok(output.endsWith('x\nthe end\n'), output.slice(-40))
  assert.equal(output.length, 65_536)
})

test('D13: a hook that leaves a daemon on its output is over when it exits, and the daemon goes with its group', async (t: TestContext) => {
  const { lines, sh, pidIn } = await world(t)
  const startedMs = performance.now()
  const { output } = await sh('sleep 600 & echo $! > daemon; echo started')
  assert.ok(performance.now() - startedMs < 60_000, 'it waited for the daemon')
  assert.equal(output, 'started\n')
  assert.ok(gone(await pidIn('daemon')), 'the daemon still runs')
  assert.deepEqual(
    lines.filter((line) => line.level === 'warn').map((line) => line.message),
    ['hook left processes behind, they were ended'],
  )
})

test('D13: a daemon with a session of its own outlives its hook, and may go on printing', async (t: TestContext) => {
  const { root, lines, sh, pidIn } = await world(t)
  // 1 MiB is far more than a pipe holds: it gets through only while somebody reads.
  const daemon = `echo $$ > ${root}/daemon; while [ ! -e ${root}/go ]; do sleep 0.02; done
    head -c 1048576 /dev/zero && touch ${root}/printed; sleep 600`
  const { output } = await sh(`setsid sh -c '${daemon}' & while [ ! -e daemon ]; do sleep 0.02; done; echo started`)
  const pid = await pidIn('daemon')
  t.after(() => {
    process.kill(-pid, 'SIGKILL')
  })
  assert.equal(output, 'started\n')
  assert.ok(!gone(pid), 'the daemon was ended')
  assert.deepEqual(
    lines.filter((line) => line.level === 'warn').map((line) => line.message),
    ['hook left a daemon that holds its output open'],
  )
  await writeFile(join(root, 'go'), '')
  await until('the daemon could print', () => existsSync(join(root, 'printed')))
})

test('D9: a hook that is not there, not executable or empty cannot be started, and says why', async (t: TestContext) => {
  const { root, hook, failure } = await world(t)
  const missing = await failure(hook([join(root, 'nothing'), 'web']))
  assert.equal(missing.code, 'SPAWN_FAILED')
  assert.equal(missing.message, `cannot start hook afterSwap (ENOENT): ${root}/nothing web`)
  await writeFile(join(root, 'text'), 'no program')
  await chmod(join(root, 'text'), 0o644)
  const text = await failure(hook([join(root, 'text')]))
  assert.equal(text.message, `cannot start hook afterSwap (EACCES): ${root}/text`)
  assert.equal((await failure(hook([]))).code, 'SPAWN_FAILED')
})

test('D9: without file descriptors no hook is started, and one is as soon as there are some again', async (t: TestContext) => {
  const root = await tmp(t, 'hooks')
  const script = join(root, 'exhaust.ts')
  const from = (name: string) => JSON.stringify(import.meta.resolve(name))
  await writeFile(
    script,
    `import { closeSync, openSync } from 'node:fs'
     import { runHook } from ${from('#puller/shell/hooks.ts')}
     import { systemClock } from ${from('#adapters/runtime/clock.ts')}
     const log = { debug() {}, info() {}, warn() {}, error() {} }
     const env = ${JSON.stringify(envOf(root))}
     const hook = () => runHook('afterSwap', { argv: ['echo', 'hello'], timeoutSeconds: 5 }, env, { clock: systemClock, log }, new AbortController().signal)
     const open = []
     try { for (;;) open.push(openSync('/dev/null')) } catch {}
     const failed = await hook().catch((error) => error)
     for (const fd of open) closeSync(fd)
     const { output } = await hook()
     process.stdout.write(JSON.stringify({ code: failed.code, message: failed.message, output }))`,
  )
  const { stdout, stderr } = await run(['prlimit', '--nofile=64', process.execPath, script])
  assert.deepEqual(
    JSON.parse(stdout || '{}'),
    { code: 'SPAWN_FAILED', message: 'cannot start hook afterSwap (EMFILE): echo hello', output: 'hello\n' },
    stderr,
  )
})

test('a hook whose reason is gone is ended, and only then is the reason thrown', async (t: TestContext) => {
  const { sh, pidIn } = await world(t)
  const stop = new AbortController()
  const running = sh('echo $$ > self; sleep 600', { signal: stop.signal })
  const pid = await pidIn('self')
  stop.abort(new Error('recalled'))
  await assert.rejects(running, /recalled/)
  assert.ok(gone(pid), 'it still runs')
})

// Owns the proof that a drain by processes waits for whoever still runs from the hot tree, however it sees that tree, and for nobody else.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { copyFile, mkdir, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ProcessMatch } from '#puller/shell/drain/drain.ts'
import { bystander } from '#test/support/child.ts'
import { type DrainedNode, drainedNode, failureOf, isPending } from '../support/drained-node.ts'
import { run } from '../support/fleet.ts'
import { layHot, startServedApp } from '../support/served-app.ts'
import { until } from '../support/until.ts'

/** Never without a filter: on many machines there is a process that nobody may look at, and that alone is busy. */
const SLEEPS: ProcessMatch = { cmdline: '(sleep|worker) 600' }
const kind = (match: ProcessMatch = SLEEPS) => ({ kind: 'processes', match }) as const

const start = (t: TestContext, argv: readonly string[], cwd: string) => bystander(t, argv, { cwd })

/** The drain waits for this process by this link; once that is gone, it is over. */
async function waitsFor(node: DrainedNode, by: string, child: ChildProcess, match?: ProcessMatch): Promise<void> {
  const draining = node.drain(kind(match))
  await until('the drain waits', () => node.waitingFor() !== null)
  const said = node.waitingFor() ?? ''
  assert.ok(said.startsWith(`a process still runs from the hot tree, pid ${child.pid} (`), said)
  assert.ok(said.endsWith(`) by its ${by}`), said)
  assert.ok(await isPending(draining), 'drained while it ran')
  child.kill('SIGKILL')
  assert.equal((await draining).timedOut, false)
}

test('processes: nobody runs from the hot tree, so the node is drained at the first reading', async (t: TestContext) => {
  const node = await drainedNode(t)
  await start(t, ['sleep', '600'], node.root)
  assert.equal((await node.drain({ ...kind(), timeoutSeconds: 0 })).timedOut, false)
})

test('processes: an application that works in the hot tree is waited for', async (t: TestContext) => {
  const node = await drainedNode(t)
  const app = await startServedApp(t, { root: node.root, cwd: 'hot' })
  const draining = node.drain(kind({ cmdline: 'served-app' }))
  await until(
    'the drain waits',
    () => node.waitingFor()?.includes(`pid ${app.pid} (`) && node.waitingFor()?.endsWith('by its cwd'),
  )
  assert.ok(await isPending(draining), 'drained while it ran')
  await app.stop()
  assert.equal((await draining).timedOut, false)
})

test('processes: one in a directory deep in the hot tree is waited for', async (t: TestContext) => {
  const node = await drainedNode(t)
  const deep = join(node.root, 'trees/a/jobs/mail')
  await mkdir(deep, { recursive: true })
  await waitsFor(node, 'cwd', await start(t, ['sleep', '600'], deep))
})

test('processes: a program of the hot tree is waited for, wherever it works', async (t: TestContext) => {
  const node = await drainedNode(t)
  const program = join(node.root, 'trees/a/worker')
  await copyFile('/bin/sleep', program)
  await waitsFor(node, 'exe', await start(t, [program, '600'], '/'), { exe: '/worker$', cmdline: '600' })
})

test('processes: one that sees the tree under another mount is waited for', async (t: TestContext) => {
  const node = await drainedNode(t)
  const elsewhere = join(node.root, 'elsewhere')
  await mkdir(elsewhere)
  await mkdir(join(node.root, 'trees/a/jobs'))
  const script = `mount --bind trees/a/jobs ${elsewhere} && cd ${elsewhere} && exec sleep 600`
  const child = await start(t, ['unshare', '--map-root-user', '--mount', 'sh', '-c', script], node.root)
  await until('it works under the other mount', async () => (await readlink(`/proc/${child.pid}/cwd`)) === elsewhere)
  await waitsFor(node, 'cwd', child)
})

test('processes: whoever still runs from the tree that is cold is not waited for', async (t: TestContext) => {
  const node = await drainedNode(t)
  await start(t, ['sleep', '600'], join(node.root, 'hot'))
  await layHot(node.root, 'b', 'b2')
  await node.drain({ ...kind(), timeoutSeconds: 0 })
})

test('processes: whoever does not match the filter is not waited for', async (t: TestContext) => {
  const node = await drainedNode(t)
  const child = await start(t, ['sleep', '600.5'], join(node.root, 'hot'))
  const user = String(process.getuid?.() ?? 0)
  for (const match of [
    { exe: '/other$', cmdline: 'sleep' },
    { cmdline: '^sleep 601' },
    { user: '12345', cmdline: 'sleep' },
    { cmdline: '600\\.5$', user: '12345' },
  ]) {
    await node.drain({ ...kind(match), timeoutSeconds: 0 })
  }
  await waitsFor(node, 'cwd', child, { exe: '/sleep$', cmdline: '^sleep 600\\.5$', user })
})

test('processes: a user that nobody knows is busy, not idle', async (t: TestContext) => {
  const node = await drainedNode(t)
  const error = await failureOf(node.drain({ ...kind({ user: 'no-such-user' }), timeoutSeconds: 0.1 }))
  assert.equal(error.code, 'DRAIN_TIMEOUT')
  assert.match(error.message, /there is no user no-such-user in \/etc\/passwd/)
})

test('processes: one that we may not look at is busy: it may well run from the hot tree', async (t: TestContext) => {
  const node = await drainedNode(t)
  const child = await start(t, ['sleep', '600.25'], '/')
  const script = join(node.root, 'drain.ts')
  const from = (name: string) => JSON.stringify(import.meta.resolve(name))
  await writeFile(
    script,
    `import { drain, DRAIN_DEFAULTS } from ${from('#puller/shell/drain/drain.ts')}
     import { systemClock } from ${from('#adapters/runtime/clock.ts')}
     const log = { debug() {}, info() {}, warn() {}, error() {} }
     const root = ${JSON.stringify(node.root)}
     for (const cmdline of ['^sleep 600\\\\.25$', '^sleep 600\\\\.26$']) {
       const config = { ...DRAIN_DEFAULTS, kind: 'processes', match: { cmdline }, timeoutSeconds: 0 }
       const ended = await drain(config, { root, env: {} }, { clock: systemClock, log }, new AbortController().signal).then(() => 'idle', String)
       process.stdout.write(ended + '\\n')
     }`,
  )
  // A user namespace of its own has no say over processes outside, not even for root.
  const { stdout, stderr } = await run(['unshare', '--user', process.execPath, script])
  const [denied = '', other] = stdout.split('\n')
  assert.match(
    denied,
    new RegExp(`pid ${child.pid} \\(sleep 600\\.25\\) may: this user may not look; narrow the match`),
    stdout + stderr,
  )
  assert.equal(other, 'idle')
})

// Owns the proof that a drain by leases waits for the living who hold one, and for nobody else.
import assert from 'node:assert/strict'
import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { WatchFolder } from '#fleet/node-ports.ts'
import type { Clock } from '#fleet/ports.ts'
import { bystander } from '#test/support/child.ts'
import { drainedNode, failureOf, isPending } from '../support/drained-node.ts'
import { startServedApp } from '../support/served-app.ts'
import { until } from '../support/until.ts'

/** So slow that no poll comes round in a test: only a watch can wake a drain. */
const frozen: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms * 1_000, signal) }
/** As a network file system is: changes are never told. */
const deaf: WatchFolder = () => ({ [Symbol.asyncDispose]: async () => {} })

async function world(t: TestContext) {
  const node = await drainedNode(t)
  const dir = join(node.root, 'leases')
  await mkdir(dir)
  const waits = (what: RegExp) => until(`the drain waits: ${what}`, () => what.test(node.waitingFor() ?? ''))
  return { node, dir, waits, kind: { kind: 'leases', dir } as const }
}

/** A living process of no meaning, and its pid. */
async function alive(t: TestContext): Promise<number> {
  return (await bystander(t, ['sleep', '600'])).pid
}

test('leases: nobody holds one, so the node is drained at the first reading', async (t: TestContext) => {
  const { node, kind } = await world(t)
  assert.equal((await node.drain({ ...kind, timeoutSeconds: 0 })).timedOut, false)
})

test('leases: a request in flight holds one, and the watch tells when it is given back', async (t: TestContext) => {
  const { node, dir, waits, kind } = await world(t)
  const app = await startServedApp(t, { root: node.root, leases: dir })
  const { done } = await app.hold()
  const draining = node.drain(kind, { world: { clock: frozen } })
  await waits(new RegExp(`^1 lease is held in ${dir}: ${app.pid}\\.lease$`))
  assert.ok(await isPending(draining), 'drained while a request was in flight')
  await app.release()
  assert.equal((await draining).timedOut, false)
  assert.equal((await done).build, 'b1')
})

test('leases: where changes are not told, the slow poll finds them', async (t: TestContext) => {
  const { node, dir, waits } = await world(t)
  await writeFile(join(dir, String(await alive(t))), '')
  // Relative to the root, as the config may have it.
  const draining = node.drain({ kind: 'leases', dir: 'leases' }, { world: { watch: deaf } })
  await waits(/^1 lease is held/)
  await rm(dir, { recursive: true })
  await mkdir(dir)
  await draining
})

test('leases: the lease of a process that was killed is worth nothing', async (t: TestContext) => {
  const { node, dir, waits, kind } = await world(t)
  const app = await startServedApp(t, { root: node.root, leases: dir })
  await app.hold()
  const draining = node.drain(kind)
  await waits(/^1 lease is held/)
  await app.stop('SIGKILL')
  const { waitedMs } = await draining
  assert.ok(waitedMs < 15_000, `noticed after ${waitedMs} ms, and no file ever changed`)
  assert.equal(await readFile(join(dir, `${app.pid}.lease`), 'utf8'), '', 'its file was not there any more')
})

test('leases: a process that ended and was not reaped is dead', async (t: TestContext) => {
  const { node, dir, kind } = await world(t)
  // The child ends once its parent has become a program that never asks for it.
  const child = 'while ! grep -q sleep /proc/$PPID/comm; do sleep 0.01; done'
  await bystander(t, ['sh', '-c', `sh -c '${child}' & echo $! > zombie; exec sleep 600`], { cwd: node.root })
  const pid = await until('a zombie', async () => {
    const text = (await readFile(join(node.root, 'zombie'), 'utf8').catch(() => '')).trim()
    const status = text === '' ? '' : await readFile(`/proc/${text}/stat`, 'utf8')
    return / Z /.test(status) ? text : null
  })
  await writeFile(join(dir, pid), '')
  await node.drain({ ...kind, timeoutSeconds: 0 })
})

test('leases: a file older than the process that has its pid now is of somebody dead', async (t: TestContext) => {
  const { node, dir, waits, kind } = await world(t)
  const pid = await alive(t)
  const file = join(dir, `${pid}-worker`)
  await writeFile(file, '')
  const draining = node.drain(kind)
  await waits(/^1 lease is held/)
  const anHourAgo = Date.now() / 1_000 - 3_600
  await utimes(file, anHourAgo, anHourAgo)
  await draining
})

test('leases: what does not begin with a pid is no lease, and what a lease holds is ignored', async (t: TestContext) => {
  const { node, dir, waits, kind } = await world(t)
  await writeFile(join(dir, 'README'), '')
  await writeFile(join(dir, '.12'), '')
  await writeFile(join(dir, '0'), '')
  await node.drain({ ...kind, timeoutSeconds: 0 })
  const file = join(dir, `${await alive(t)}.json`)
  await writeFile(file, '{"pid": 1')
  const draining = node.drain(kind)
  await waits(/^1 lease is held/)
  await rm(file)
  await draining
})

test('leases: a directory that is not there is busy: nobody can tell', async (t: TestContext) => {
  const { node, dir, kind } = await world(t)
  await rm(dir, { recursive: true })
  const error = await failureOf(node.drain({ ...kind, timeoutSeconds: 0.1 }))
  assert.equal(error.code, 'DRAIN_TIMEOUT')
  assert.match(error.message, /the leases cannot be read: ENOENT/)
})

test('F14: a lease that is never given back stops the swap, and its holders are named', async (t: TestContext) => {
  const { node, dir, kind } = await world(t)
  const pids = await Promise.all(Array.from({ length: 4 }, () => alive(t)))
  for (const pid of pids) await writeFile(join(dir, `${pid}`), '')
  const error = await failureOf(node.drain({ ...kind, timeoutSeconds: 0.1 }))
  assert.match(error.message, /^still busy after 100 ms: 4 leases are held in \S+: \d+, \d+, \d+, …;/)
})

test('F2: a drain whose reason is gone ends at once, also between two slow polls', async (t: TestContext) => {
  const { node, dir, waits, kind } = await world(t)
  await writeFile(join(dir, String(await alive(t))), '')
  const stop = new AbortController()
  const draining = node.drain(kind, { signal: stop.signal, world: { clock: frozen } })
  await waits(/^1 lease is held/)
  stop.abort(new Error('recalled'))
  await assert.rejects(draining, /^Error: recalled$/)
})

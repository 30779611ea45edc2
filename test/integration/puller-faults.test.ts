// Owns the faults of the world around one puller: each has its code and its sentence, hot serves throughout, and it ends when the fault ends.
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { bystander } from '#test/support/child.ts'
import { type OneNode, oneNode } from '#test/support/puller.ts'
import { until } from '#test/support/until.ts'

async function onA(t: TestContext, more: Readonly<Record<string, unknown>> = {}): Promise<OneNode> {
  const node = await oneNode(t, more)
  await node.publish('build-a')
  await node.order(1, 'build-a', null)
  node.start()
  await node.reports('build-a runs', ({ hot, phase }) => hot === 'build-a' && phase === 'idle')
  return node
}

/** Reads `hot` over and over until it is told to stop: nothing but this build was ever served. */
function serves(node: OneNode, build: string): () => Promise<void> {
  let on = true
  const seen = new Set<string | null>()
  const reading = (async () => {
    while (on) {
      seen.add(await node.hotFile('BUILD'))
      await delay(5)
    }
  })()
  return async () => {
    on = false
    await reading
    assert.deepEqual([...seen], [build], 'what was served meanwhile')
  }
}

/** Turns every byte of the middle of each object of a build. */
async function spoil(node: OneNode, build: string): Promise<() => Promise<void>> {
  const names = (await readdir(join(node.storeDir, build), { recursive: true })).filter((name) =>
    /artifact|delta/.test(name),
  )
  const originals = await Promise.all(names.map((name) => readFile(join(node.storeDir, build, name))))
  for (const [at, name] of names.entries()) {
    const bytes = Buffer.from(originals[at] ?? '')
    const from = Math.floor(bytes.length / 3)
    for (let index = from; index < 2 * from; index += 1) bytes[index] = (bytes[index] ?? 0) ^ 0xff
    await writeFile(join(node.storeDir, build, name), bytes)
  }
  return async () => {
    for (const [at, name] of names.entries()) await writeFile(join(node.storeDir, build, name), originals[at] ?? '')
  }
}

test('B6 B8: bytes that are not the build are refused by their digest, hot is untouched, and a retry with the right bytes succeeds', async (t: TestContext) => {
  const node = await onA(t)
  await node.publish('build-b', { big: 'x'.repeat(300_000) })
  const mend = await spoil(node, 'build-b')
  const done = serves(node, 'build-a')
  await node.order(2, 'build-b', 'build-a', { rollout: 'r-2' })
  const status = await node.reports(
    'it is refused',
    ({ refusal, phase }) => refusal !== null && phase === 'idle',
    30_000,
  )
  assert.equal(status.refusal?.code, 'DIGEST_MISMATCH')
  assert.match(status.refusal?.message ?? '', /\w+ \w+/)
  assert.equal(status.hot, 'build-a')
  await done()
  await mend()
  await node.order(3, 'build-b', 'build-a', { rollout: 'r-2', attempt: 2 })
  await node.reports(
    'build-b runs',
    ({ hot, phase, refusal }) => hot === 'build-b' && phase === 'idle' && refusal === null,
  )
})

test('F17: a cold tree that a process still uses is not written; its pid is named; once it ends, staging goes on', async (t: TestContext) => {
  const node = await onA(t)
  await node.publish('build-b')
  await node.publish('build-c')
  const worker = await bystander(t, ['sleep', '600'], { cwd: join(node.root, 'hot') })
  await node.order(2, 'build-b', 'build-a')
  await node.reports('build-b runs', ({ hot, phase }) => hot === 'build-b' && phase === 'idle')
  const done = serves(node, 'build-b')
  await node.order(3, 'build-c', 'build-b', { rollout: 'r-2', cutoff: 0 })
  const status = await node.reports(
    'it waits',
    ({ phase, troubles }) => phase === 'fetching' && troubles.some(({ code }) => code === 'COLD_BUSY'),
  )
  assert.match(status.troubles.find(({ code }) => code === 'COLD_BUSY')?.message ?? '', new RegExp(`pid ${worker.pid}`))
  worker.kill('SIGKILL')
  await node.reports(
    'build-c lies staged',
    ({ phase, cold, troubles }) => phase === 'staged' && cold === 'build-c' && troubles.length === 0,
    40_000,
  )
  await done()
})

test('a rollback does not wait for the cold tree to be left by those who still use it', async (t: TestContext) => {
  const node = await onA(t)
  await node.publish('build-b')
  await bystander(t, ['sleep', '600'], { cwd: join(node.root, 'hot') })
  await node.order(2, 'build-b', 'build-a')
  const status = await node.reports(
    'build-b runs, not armed',
    ({ hot, phase }) => hot === 'build-b' && phase === 'idle',
  )
  assert.equal(status.armed, false)
  await node.order(3, 'build-a', null)
  await node.reports(
    'build-a runs again',
    ({ hot, phase, generation }) => hot === 'build-a' && phase === 'idle' && generation === 3,
    6_000,
  )
})

test('an app that wrote into its tree: the next use of that tree finds and repairs it', async (t: TestContext) => {
  const node = await onA(t)
  await node.publish('build-b')
  await writeFile(join(node.root, 'hot', 'lib', 'file-7'), 'scribbled\n')
  await writeFile(join(node.root, 'hot', 'cache.tmp'), 'added')
  await node.order(2, 'build-b', 'build-a')
  await node.reports('build-a is armed', ({ hot, phase, armed }) => hot === 'build-b' && phase === 'idle' && armed)
  await node.order(3, 'build-a', null)
  await node.reports('build-a runs again', ({ hot, phase }) => hot === 'build-a' && phase === 'idle')
  assert.equal(await node.hotFile('lib/file-7'), 'content 7\n')
  assert.equal(await node.hotFile('cache.tmp'), null)
  // It says to try again while the tree that was left is still being looked through.
  await until('verify finds both trees as published', async () => (await node.puller('verify')).code === 0)
})

// Owns the proof that what cannot be deployed is refused by name, and that stopping a publish, or its files changing, leaves no build.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { mkdir, open, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { memoryStore } from '#adapters/memory/store.ts'
import { isFleetError } from '#fleet/errors.ts'
import { objectsOf } from '#fleet/manifest.ts'
import { FOREVER, publishing, refusedAs, source } from '#test/support/publishing.ts'
import { tmp } from '#test/support/tmp.ts'

const run = promisify(execFile)

test('E1–E10: whatever cannot be deployed is refused by name, all of it at once, and nothing is published', async (t) => {
  const dir = await source(t)
  const socket = createServer().listen(join(dir, 'a.sock'))
  t.after(() => socket.close())
  await run('mkfifo', [join(dir, 'pipe')])
  await symlink('/etc/passwd', join(dir, 'absolute'))
  await symlink('../../outside', join(dir, 'assets/outside'))
  await symlink('..', join(dir, 'assets/up'))
  await symlink('assets/up/..', join(dir, 'chain'))
  await writeFile(join(dir, 'new\nline'), 'x')
  await writeFile(join(dir, 'back\\slash'), 'x')
  await writeFile(Buffer.concat([Buffer.from(`${dir}/latin-`), Buffer.from([0xe9])]), 'x')
  await writeFile(join(dir, 'ASSETS'), 'x')
  const store = memoryStore()
  const words = [
    'a.sock',
    'socket',
    'pipe',
    'named pipe',
    'absolute',
    'assets/outside',
    'chain',
    'new\\nline',
    'slash',
    'latin-',
    'ASSETS',
  ]
  await assert.rejects(publishing(store).publish(dir, 'b1'), (error) => {
    assert.ok(isFleetError(error, 'ENTRY_REFUSED'))
    for (const word of words) assert.ok(error.message.includes(word), `${word} in: ${error.message}`)
    return !error.message.includes('\n')
  })
  assert.equal(store.objects.size, 0)
})

test('E9: names that clash are published when the publisher says that the servers tell them apart', async (t) => {
  const dir = await source(t)
  await writeFile(join(dir, 'ASSETS'), 'x')
  const at = publishing(memoryStore())
  await at.publish(dir, 'b1', { foldAllowed: true })
  assert.equal((await at.manifest('b1')).foldAllowed, true)
})

test('E11: a directory beyond the limits is refused before anything is uploaded', async (t) => {
  const dir = await source(t)
  const store = memoryStore()
  const limits = { entries: 1_000, bytes: 1e9, depth: 10, nameBytes: 255 }
  for (const tight of [{ entries: 10 }, { bytes: 1_000 }]) {
    const publish = publishing(store).publish(dir, 'b1', { limits: { ...limits, ...tight } })
    await assert.rejects(publish, refusedAs('LIMITS_EXCEEDED'))
  }
  await assert.rejects(
    publishing(store).publish(dir, 'b1', { limits: { ...limits, depth: 1 } }),
    refusedAs('ENTRY_REFUSED', /deeper/),
  )
  assert.equal(store.objects.size, 0)
})

test('E17: an empty directory and one that is not there are refused', async (t) => {
  const dir = await tmp(t, 'empty')
  await assert.rejects(publishing(memoryStore()).publish(dir, 'b1'), refusedAs('BUILD_EMPTY'))
  await assert.rejects(publishing(memoryStore()).publish(join(dir, 'gone'), 'b1'), refusedAs('USAGE', /gone/))
  await assert.rejects(publishing(memoryStore()).publish(dir, '../b'), refusedAs('NAME_INVALID'))
})

for (const step of ['hashing', 'uploading'] as const) {
  test(`a file that changes while the build is ${step} is refused by name, and no build comes of it`, async (t) => {
    const dir = await source(t)
    const path = join(dir, 'zzz-last')
    // More than is read ahead of the first frame that is told of.
    await writeFile(path, Buffer.alloc(60_000_000))
    const at = publishing(await tmp(t, 'store'))
    let done = false
    const change = (progress: { step: string }) => {
      if (done || progress.step !== step) return
      done = true
      appendFileSync(path, 'more')
    }
    await assert.rejects(at.publish(dir, 'b1', {}, change), refusedAs('ENTRY_REFUSED', /zzz-last.*changed/))
    assert.equal(await at.store.find(objectsOf.artifact('b1'), FOREVER), null)
    assert.equal((await at.publish(dir, 'b1')).outcome, 'published')
  })
}

test('an operator who stops a publish leaves no artifact, and can start it again', async (t) => {
  const dir = await source(t)
  await writeFile(join(dir, 'big'), Buffer.alloc(30_000_000, 'b'))
  const at = publishing(await tmp(t, 'store'))
  const controller = new AbortController()
  const reason = new Error('Ctrl-C')
  const stop = ({ step, doneBytes }: { step: string; doneBytes: number }) => {
    if (step === 'uploading' && doneBytes > 5_000_000) controller.abort(reason)
  }
  await assert.rejects(at.publish(dir, 'b1', {}, stop, controller.signal), (error) => error === reason)
  assert.equal(await at.store.find(objectsOf.artifact('b1'), FOREVER), null)
  assert.equal((await at.publish(dir, 'b1')).outcome, 'published')
})

test('progress only grows, in the order of the steps, and ends with everything done', async (t) => {
  const dir = await source(t)
  const steps: string[] = []
  let last = { step: '', doneBytes: 0, totalBytes: 0 }
  await publishing(memoryStore()).publish(dir, 'b1', {}, (progress) => {
    if (progress.step !== last.step) steps.push(progress.step)
    else assert.ok(progress.doneBytes >= last.doneBytes)
    assert.ok(progress.doneBytes <= progress.totalBytes)
    last = progress
  })
  assert.deepEqual(steps, ['scanning', 'hashing', 'uploading', 'deltas', 'cataloguing'])
  assert.equal(last.doneBytes, last.totalBytes)
})

test('publishing half a gigabyte takes a bounded amount of memory', async (t) => {
  const dir = await tmp(t, 'source')
  await mkdir(join(dir, 'd'))
  const file = await open(join(dir, 'd/huge'), 'w')
  await file.truncate(512 * 1024 * 1024)
  await file.close()
  const store = await tmp(t, 'store')
  const script = `
    const { publishing } = await import('#test/support/publishing.ts')
    await publishing(${JSON.stringify(store)}).publish(${JSON.stringify(dir)}, 'b1')
    console.log(process.resourceUsage().maxRSS)`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
  })
  const peakMiB = Number(stdout) / 1024
  t.diagnostic(`peak ${peakMiB.toFixed(0)} MiB`)
  assert.ok(peakMiB < 300)
  await rm(dir, { recursive: true })
})

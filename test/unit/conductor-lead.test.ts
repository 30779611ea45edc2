// Owns the proof of terms: duties are done while the lease is held and at no other time, and the lease goes in time whatever a duty does.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { memoryLocks } from '#adapters/memory/locks.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { type Duty, lead } from '#conductor/shell/lead.ts'
import type { Lease } from '#fleet/ports.ts'
import { hurried } from '#test/support/hurry.ts'
import { recordedLog } from '#test/support/recorded-log.ts'
import { APP } from '#test/support/rollout-sim.ts'
import { until } from '#test/support/until.ts'

const clock = hurried(50)
const doing: Duty = (_lease, signal) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

/** Daemons that compete for one lease. */
function stage(t: TestContext) {
  const records = memoryRecords()
  const locks = memoryLocks(records, { app: APP })
  const start = (holder: string, ...duties: readonly Duty[]) => {
    const stop = new AbortController()
    const { log, lines } = recordedLog()
    const terms: boolean[] = []
    const leading = {
      locks,
      clock,
      log,
      note: () => ({ holder, since: '', rollout: null, reason: 'test', serves: true }),
      duties,
      stirred: (signal: AbortSignal) => clock.sleep(200, signal),
      onTerm: (leads: boolean) => void terms.push(leads),
      onTurn: () => undefined,
    }
    const over = lead(leading, stop.signal)
    t.after(async () => {
      stop.abort()
      await over
    })
    const end = async () => {
      stop.abort(new Error('ended by SIGTERM'))
      await over
    }
    return { terms, lines, end }
  }
  return { locks, start, holder: async () => (await locks.holder(t.signal))?.holder ?? null }
}

test('one leads and the others wait; when it stops the next one leads', async (t) => {
  const { start, holder } = stage(t)
  const one = start('one', doing)
  await until('one leads', () => one.terms.length === 1)
  const two = start('two', doing)
  assert.equal(await holder(), 'one')
  await one.end()
  await until('two leads', () => two.terms.length === 1)
  assert.deepEqual([await holder(), one.terms, two.terms], ['two', [true, false], [true]])
})

test('a duty that fails ends the term of all of them: somebody else may lead, and it is logged', async (t) => {
  const { start, holder } = stage(t)
  const stopped: string[] = []
  const other: Duty = (lease, signal) => doing(lease, signal).finally(() => stopped.push('other'))
  const fails = Promise.withResolvers<void>()
  const one = start('one', () => fails.promise, other)
  await until('one leads', () => one.terms.length === 1)
  const two = start('two', doing)
  fails.reject(new Error('a bug'))
  await until('two leads', () => two.terms.length === 1)
  assert.deepEqual([await holder(), stopped], ['two', ['other']])
  assert.ok(one.lines.some(({ level, message }) => level === 'error' && message === 'a duty has failed'))
})

test('a lease that was taken away ends the term, and is waited for again', async (t) => {
  const { start, locks, holder } = stage(t)
  const seen: Lease[] = []
  const one = start('one', (lease, signal) => {
    seen.push(lease)
    return doing(lease, signal)
  })
  await until('one leads', () => one.terms.length === 1)
  const note = { holder: 'ben', since: '', rollout: null, reason: 'rollback' }
  const taken = await locks.fence(seen[0]?.session ?? '', note, t.signal)
  await until('it knows', () => one.terms.length === 2)
  assert.equal(await holder(), 'ben')
  await taken[Symbol.asyncDispose]()
  await until('it leads again', () => one.terms.length === 3)
  assert.notEqual(seen[1]?.session, seen[0]?.session)
  assert.ok(one.lines.every(({ level }) => level !== 'error'))
})

test('a duty that does not hear its signal does not keep the lease', async (t) => {
  const { start, holder } = stage(t)
  const deaf = Promise.withResolvers<void>()
  t.after(() => deaf.resolve())
  const one = start('one', () => deaf.promise)
  await until('one leads', () => one.terms.length === 1)
  await one.end()
  assert.equal(await holder(), null)
})

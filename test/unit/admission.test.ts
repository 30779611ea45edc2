// Owns the proof of which orders reach the machine: none that is older, of another ring, or not yet on the disk; each ring by its own ratchet.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { memoryFeed } from '#adapters/memory/feed.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { Digest, Name } from '#fleet/build.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { Target } from '#fleet/target.ts'
import { writeTarget } from '#fleet/wire.ts'
import type { Order } from '#puller/core/state.ts'
import { type Accepted, NOTHING_ACCEPTED } from '#puller/shell/accepted.ts'
import { openAdmission } from '#puller/shell/admission.ts'
import { remember } from '#puller/shell/node.ts'
import { recordedLog } from '#test/support/recorded-log.ts'
import { until } from '#test/support/until.ts'
import { held, order } from '#test/support/walk-worlds.ts'

const NODE = 'node-1' as Name
const reader = (ring: string, app = 'web') => ({ app: app as Name, ring: ring as Name, node: NODE })
const PRODUCTION = reader('production')
const KEY = keysOf(DEFAULT_PREFIX, 'web').target('production')
const utf8 = (text: string) => new TextEncoder().encode(text)

/** A record of production, or what is given instead. */
const record = (generation: number, build: string, more: Partial<Target> = {}): string =>
  new TextDecoder().decode(writeTarget(order(generation, build, null, 0, more).target))

/** The key, the node's ratchet as it lies on disk, and what reaches its machine. */
function admitting(t: TestContext, options: { start?: Accepted; save?: (value: unknown) => Promise<void> } = {}) {
  const records = memoryRecords()
  const { log, lines } = recordedLog()
  const saved: unknown[] = []
  const orders: Order[] = []
  const stop = new AbortController()
  const admission = openAdmission(options.start ?? NOTHING_ACCEPTED, PRODUCTION, {
    feed: memoryFeed(records, PRODUCTION),
    catalog: { find: async () => null },
    trees: { knows: async (build): Promise<Digest | null> => held(build).manifest },
    ratchet: {
      load: async () => saved.at(-1) ?? null,
      save: async (value) => {
        await options.save?.(value)
        saved.push(JSON.parse(JSON.stringify(value)))
      },
    },
    clock: systemClock,
    log,
    running: () => orders.at(-1)?.target.build ?? null,
  })
  const ended = admission.run(
    stop.signal,
    (next) => orders.push(next),
    () => undefined,
  )
  t.after(async () => {
    stop.abort(new Error('the test is over'))
    await ended
  })
  return {
    lines,
    saved,
    admission,
    builds: () => orders.map(({ target }) => `${target.build}@${target.generation}`),
    put: (value: string) => records.put(KEY, utf8(value)),
    /** Waits until a reading was taken or refused; the code of a refusal. */
    refused: (code: string) =>
      until(code, () => admission.troubles().find((trouble) => trouble.code === code)?.message),
  }
}

test('A4: a snapshot with an older target is restored: nothing reaches the machine, nothing is written, and the next higher order passes', async (t: TestContext) => {
  const node = admitting(t)
  node.put(record(57, 'B'))
  await until('57 is taken', () => node.builds().length >= 1)
  node.put(record(41, 'A'))
  await until('41 was looked at', () => node.admission.troubles().length > 0 || node.builds().length > 1)
  assert.deepEqual(node.builds(), ['B@57'])
  assert.match(await node.refused('TARGET_REGRESSED'), /generation 41 is below 57 already accepted: ignored; keeping B/)
  assert.equal(node.saved.length, 1)
  node.put(record(58, 'A'))
  await until('58 is taken', () => node.builds().length >= 2)
  assert.deepEqual(node.builds(), ['B@57', 'A@58'])
})

test('I7: a record of another ring or app under this key moves neither the node nor its ratchet', async (t: TestContext) => {
  const node = admitting(t)
  node.put(record(5, 'A'))
  await until('5 is taken', () => node.builds().length >= 1)
  for (const foreign of [{ ring: 'canary' as Name }, { app: 'shop' as Name }]) {
    node.put(record(90, 'B', foreign))
    await until('it was looked at', () => node.admission.troubles().length > 0 || node.builds().length > 1)
    assert.deepEqual(node.builds(), ['A@5'])
    assert.match(await node.refused('TARGET_FOREIGN'), /this is web\/production; keeping A/)
  }
  node.put(record(6, 'B'))
  await until('6 is taken', () => node.builds().length >= 2)
  assert.deepEqual(node.builds(), ['A@5', 'B@6'], 'and 90 did not raise the ratchet')
})

test('A24: a bare id that was written before the order in force is an old one, and is not followed', async (t: TestContext) => {
  const start = { ratchet: { generation: 57, modifyIndex: 900 }, order: order(57, 'B', null, 0), elsewhere: {} }
  const node = admitting(t, { start })
  node.put('A')
  await until('it was looked at', () => node.admission.troubles().length > 0 || node.builds().length > 0)
  assert.deepEqual(node.builds(), [])
  assert.match(await node.refused('TARGET_REGRESSED'), /bare id A was written before .* \(generation 57, index 900\)/)
})

test('D1: an order is on the disk before the machine hears of it', async (t: TestContext) => {
  const onDisk = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  const save = async () => {
    asked.resolve()
    await onDisk.promise
  }
  const node = admitting(t, { save })
  node.put(record(57, 'B'))
  await asked.promise
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(node.builds(), [], 'nobody acts while the disk is still writing')
  assert.equal(node.admission.accepted().ratchet.generation, -1)
  onDisk.resolve()
  await until('the machine is told', () => node.builds().length >= 1)
  assert.equal(node.admission.accepted().ratchet.generation, 57)
})

test('a node that moves to another ring follows that ring’s orders from the first, and knows its old ratchet when it comes back', async (t: TestContext) => {
  const canary = { generation: 90, modifyIndex: 700 }
  // As pullers wrote it that knew of one ring only.
  const inCanary = { v: 1, ...canary, bare: false, record: record(90, 'B', { ring: 'canary' as Name }) }
  const { log } = recordedLog()
  const shelf = (value: unknown) => ({ load: async () => value, save: async () => undefined })
  const moved = await remember({ ratchet: shelf(inCanary), journal: shelf(null) }, PRODUCTION, log)
  assert.deepEqual([moved.accepted.ratchet.generation, moved.accepted.order, moved.trouble], [-1, null, null])
  const node = admitting(t, { start: moved.accepted })
  node.put(record(57, 'A'))
  await until('57 was looked at', () => node.admission.troubles().length > 0 || node.builds().length > 0)
  assert.deepEqual(node.builds(), ['A@57'])

  const [file] = node.saved
  const back = await remember({ ratchet: shelf(file), journal: shelf(null) }, reader('canary'), log)
  assert.deepEqual([back.accepted.ratchet, back.trouble], [canary, null])
  const still = await remember({ ratchet: shelf(file), journal: shelf(null) }, PRODUCTION, log)
  assert.deepEqual([still.accepted.ratchet.generation, still.accepted.order?.target.build], [57, 'A'])
  const elsewhere = await remember({ ratchet: shelf(file), journal: shelf(null) }, reader('production', 'shop'), log)
  assert.equal(elsewhere.accepted.ratchet.generation, -1, 'nor is an app the other')
})

// Owns the proof of what a start finds: links, seals and marks tell the truth, and what they cannot vouch for is proven again.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import {
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Clock } from '#fleet/ports.ts'
import { failsWithHotUnchanged, testNode, testStore } from '#test/support/tree-node.ts'
import { QUICK } from '#test/support/tree-options.ts'

const WATCHDOG_MS = 2_000_000
const NEVER = new AbortController().signal

async function running(t: TestContext) {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { 'app/page': 'one', logo: 'logo' })
  const two = await shop.publishFiles('b2', { 'app/page': 'two', logo: 'logo' })
  const node = await testNode(t, { store: shop.store })
  await node.deploy(one)
  await node.deploy(two)
  return { shop, one, two, node }
}

test('a node says what lies on it: before the first build, staged, running, and with both builds', async (t: TestContext) => {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { page: 'one' })
  const node = await testNode(t, { store: shop.store })
  const empty = { hot: null, hotFault: null, hotTree: null, cold: null, coldTree: 'a', armed: false, unclean: false }
  assert.deepEqual(await node.trees.survey(), { ...empty, sealed: { a: null, b: null } })
  await node.stage(one)
  const a = { tree: 'a', build: 'b1', manifest: one.manifest }
  assert.deepEqual(await node.trees.survey(), { ...empty, cold: a, armed: true, sealed: { a, b: null } })
  await node.trees.swap('a')
  const hot = { ...empty, hot: a, hotTree: 'a', coldTree: 'b', sealed: { a, b: null } }
  assert.deepEqual(await node.trees.survey(), hot)
  assert.equal(readlinkSync(join(node.root, 'cold')), 'trees/b')
  assert.equal(await node.trees.knows(one.build), one.manifest)
  assert.equal((await node.trees.manifestOf('a'))?.build, 'b1')
  const again = await node.reopen()
  assert.deepEqual(await again.trees.survey(), hot, 'a clean stop leaves nothing to distrust')
})

test('D2: after an unclean stop hot is distrusted until every byte of it was read again', async (t: TestContext) => {
  const { node } = await running(t)
  const again = await node.reopen(false)
  assert.equal((await again.trees.survey()).unclean, true)
  // What a power cut without syncfs would leave: the seal, and a file of no bytes.
  truncateSync(join(again.root, 'hot/app/page'))
  const difference = await again.trees.verify('b', NEVER)
  assert.deepEqual(difference, { missing: [], extra: [], changed: ['app/page'] })
  assert.equal((await again.trees.survey()).unclean, true)
  writeFileSync(join(again.root, 'hot/app/page'), 'two')
  assert.deepEqual(await again.trees.verify('b', NEVER), { missing: [], extra: [], changed: [] })
  assert.equal((await again.trees.survey()).unclean, false)
})

test('D2: the mark of a clean stop counts for the boot that it was left in: after a reset hot is distrusted', async (t: TestContext) => {
  const { node } = await running(t)
  await node.trees.close(true)
  const mark = join(node.root, '.hotcold/clean')
  const boot = readFileSync(mark, 'utf8')
  writeFileSync(mark, boot.replace(/^[0-9a-f]{8}/, '00000000'))
  const again = await node.reopen()
  assert.equal((await again.trees.survey()).unclean, true)
})

test('D2: after an unclean stop an armed tree is not armed until it was swept again', async (t: TestContext) => {
  const { node, one } = await running(t)
  await node.stage(one, 'sweep')
  assert.equal((await node.trees.survey()).armed, true)
  const again = await node.reopen(false)
  assert.equal((await again.trees.survey()).armed, false)
  assert.equal((await again.stage(one, 'sweep')).armed, true)
  assert.equal((await again.trees.survey()).armed, true)
})

test('C12, C13: verify names what is missing, extra and changed, and touches nothing', async (t: TestContext) => {
  const { node, shop } = await running(t)
  rmSync(shop.directory, { recursive: true })
  const page = join(node.root, 'hot/app/page')
  const { mtime } = statSync(page)
  writeFileSync(page, 'TWO')
  // Bit rot: neither size nor time says that anything happened.
  utimesSync(page, mtime, mtime)
  rmSync(join(node.root, 'hot/logo'))
  writeFileSync(join(node.root, 'hot/app/up\u202eload\n'), 'x')
  const expected = { missing: ['logo'], extra: ['app/up\\u{202e}load\\u{a}'], changed: ['app/page'] }
  assert.deepEqual(await node.trees.verify('b', NEVER), expected)
  assert.equal(readFileSync(page, 'utf8'), 'TWO')
})

test('C12: a copy of a manifest that rotted on the node is not compared with: it is fetched again', async (t: TestContext) => {
  const { node, two } = await running(t)
  const again = await node.reopen()
  const copy = join(node.root, '.hotcold/manifests', `${two.manifest.slice('sha256:'.length)}.json`)
  const logo = createHash('sha256').update('logo').digest('hex')
  const text = readFileSync(copy, 'utf8')
  assert.ok(text.includes(logo))
  writeFileSync(
    copy,
    text.replace(
      logo,
      logo.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    ),
  )
  assert.deepEqual(await again.trees.verify('b', NEVER), { missing: [], extra: [], changed: [] })
  assert.equal(readFileSync(copy, 'utf8'), text, 'and the copy is right again')
})

test('a hot link that leads nowhere good is told, and swapping to a sealed tree mends it', async (t: TestContext) => {
  const { node } = await running(t)
  const link = join(node.root, 'hot')
  rmSync(join(node.root, 'trees/b.seal'))
  const survey = await node.trees.survey()
  assert.deepEqual([survey.hot, survey.hotFault?.code, survey.hotTree], [null, 'HOT_BROKEN', 'b'])
  assert.match(survey.hotFault?.message ?? '', /trees\/b, which has no valid seal/)
  rmSync(link)
  symlinkSync('/nowhere', link)
  assert.match((await node.trees.survey()).hotFault?.message ?? '', /neither of the two trees/)
  await assert.rejects(
    () => node.trees.swap('b'),
    (error) => error instanceof FleetError && error.code === 'SWAP_FAILED',
  )
  await node.trees.swap('a')
  assert.equal((await node.trees.survey()).hot?.build, 'b1')
})

test('a seal that was cut short is no seal', async (t: TestContext) => {
  const { node, one } = await running(t)
  truncateSync(join(node.root, 'trees/a.seal'), 100)
  assert.equal((await node.trees.survey()).cold, null)
  const result = await node.stage(one)
  assert.equal(result.writtenFiles, 0, 'everything was hashed again and found right')
  assert.equal((await node.trees.survey()).cold?.build, 'b1')
})

test('D12: a journal that is no JSON says so, an absent one is null, and a saved one comes back', async (t: TestContext) => {
  const { node } = await running(t)
  assert.equal(await node.trees.journal.load(), null)
  await node.trees.journal.save({ phase: 'idle' })
  await node.trees.shelf.save('session-1')
  const again = await node.reopen()
  assert.deepEqual(await again.trees.journal.load(), { phase: 'idle' })
  assert.equal(await again.trees.shelf.load(), 'session-1')
  writeFileSync(join(again.root, '.hotcold/journal.json'), '{"phase"')
  await assert.rejects(
    () => again.trees.journal.load(),
    (error) => error instanceof FleetError && error.code === 'JOURNAL_INVALID',
  )
})

test('a file that becomes a directory, a link, and a file again arrives as each of them', async (t: TestContext) => {
  const { node, shop, one } = await running(t)
  const shapes = [
    { 'app/page/inner/deep': 'deep', logo: 'logo' },
    { app: 'now a file', logo: 'logo' },
    { 'app/page': 'one', logo: null, 'logo/of': 'us' },
  ]
  for (const [index, files] of shapes.entries()) {
    const build = await shop.publishFiles(`shape-${index}`, files)
    await node.deploy(build)
    assert.deepEqual(node.hotLines(), build.lines)
  }
  await node.deploy(one)
  assert.deepEqual(node.hotLines(), one.lines)
})

test('of a large file that changed in one place only that place is fetched, from hot or from cold', async (t: TestContext) => {
  const shop = await testStore(t)
  const large = randomBytes(6 * 1024 * 1024 + 777)
  const changed = Buffer.from(large)
  changed.fill(1, 3_000_000, 3_000_100)
  const one = await shop.publishFiles('b1', { large })
  const two = await shop.publishFiles('b2', { large: changed }, [one])
  for (const how of ['delta', 'ranges'] as const) {
    if (how === 'ranges') rmSync(join(shop.directory, 'b2/from'), { recursive: true })
    const node = await testNode(t, { store: shop.store })
    await node.deploy(one)
    const result = await node.deploy(two)
    assert.deepEqual(node.hotLines(), two.lines)
    assert.equal(result.how, how)
    assert.ok(result.fetchedBytes < 1_200_000, `${result.fetchedBytes} bytes by ${how}`)
  }
})

test('B3: a download keeps to its rate, and its start to the moment that the node has in the spread', async (t: TestContext) => {
  const shop = await testStore(t)
  const one = await shop.publishFiles('b1', { noise: randomBytes(400_000) })
  const slow = { ...QUICK.fetch, maxBytesPerSecond: 400_000 }
  const node = await testNode(t, { store: shop.store, options: { fetch: slow } })
  const result = await node.stage(one)
  assert.ok(result.ms >= 900, `400 kB at 400 kB/s took ${result.ms} ms`)

  const slept: number[] = []
  const clock: Clock = {
    ...systemClock,
    // Only what is waited for without a way out is the spread; the watchdog's waits end with what they watch.
    sleep: async (ms, signal) => {
      slept.push(ms)
      if (ms >= WATCHDOG_MS) await systemClock.sleep(ms, signal)
    },
  }
  const options = { fetch: { ...QUICK.fetch, spreadSeconds: 1_000, stallSeconds: WATCHDOG_MS / 1_000 } }
  const spread = await testNode(t, { store: shop.store, clock, options })
  await spread.stage(one)
  // Longer than the disk's clock is waited for and than threads are kept; the node's moment in 1,000 s is always the same.
  const moments = () => slept.filter((ms) => ms > 10_000 && ms < WATCHDOG_MS)
  const waits = moments()
  assert.equal(waits.length, 1, 'the spread is waited for once')
  const again = await testNode(t, { store: shop.store, clock, options })
  await again.stage(one)
  assert.equal(moments()[1], waits[0], 'the same node has the same moment')
})

test('a build of another app is refused', async (t: TestContext) => {
  const { node, shop, one } = await running(t)
  const other = await testNode(t, { store: shop.store, options: { app: 'other' as never } })
  await assert.rejects(
    () => other.stage(one),
    (error) => error instanceof FleetError && error.code === 'MANIFEST_INVALID',
  )
  await failsWithHotUnchanged(node, 'DIGEST_MISMATCH', () =>
    node.stage({ ...one, manifest: `sha256:${'1'.repeat(64)}` as never }),
  )
})

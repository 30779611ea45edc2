// Owns the proof of the history on a real Consul: it is asked by time, build, ring and person, proves itself, and tells of writes by hand.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { BuildId } from '#fleet/build.ts'
import { readRollout } from '#fleet/wire.ts'
import { type Conducting, conducting } from '#test/support/conducting.ts'
import { type ConsulServer, startConsul } from '#test/support/consul.ts'
import { A, B, digestFor } from '#test/support/rollout-sim.ts'
import { until } from '#test/support/until.ts'

const RINGS = ['canary', 'production']
const entryKey = (seq: number) => `hotcold/v1/web/history/${String(seq).padStart(12, '0')}`

interface Told {
  readonly app: string
  readonly at?: string
  readonly inForce?: readonly { ring: string; build: string; orphan: boolean }[]
  readonly untold?: readonly object[]
  readonly history: readonly { seq: number; at: string; by: string; event: string; facts: Record<string, unknown> }[]
}

async function started(t: TestContext): Promise<{ fleet: Conducting; consul: ConsulServer }> {
  const consul = await startConsul(t)
  const fleet = await conducting(t, { url: consul.url, nodes: 2, rings: RINGS })
  for (const build of [A, B]) {
    await fleet.publish(build)
    await until('the nodes report', async () => (await fleet.conduct('status')).stdout.match(/2 nodes/g)?.length === 2)
    const said = await fleet.conduct('release', build, '--by', build === A ? 'ana' : 'ben', '--reason', `for ${build}`)
    assert.equal(said.code, 0, said.stderr)
  }
  return { fleet, consul }
}

async function told(fleet: Conducting, ...argv: readonly string[]): Promise<Told> {
  const said = await fleet.conduct('history', '--json', '--limit', '999', ...argv)
  assert.equal(said.code, 0, said.stderr)
  return JSON.parse(said.stdout) as Told
}

test('history is asked by time, build, ring and person; as of a time it says what was ordered where; ended rollouts are kept', async (t) => {
  const { fleet, consul } = await started(t)
  const all = (await told(fleet)).history
  const begun = all.filter(({ event }) => event === 'release-begun')
  assert.deepEqual(
    begun.map(({ facts }) => facts.build),
    [B, A],
  )
  const [second, first] = begun.map(({ facts }) => facts.rollout)

  const ofA = (await told(fleet, '--build', A)).history
  assert.ok(ofA.length > 0 && ofA.every(({ facts }) => facts.rollout === first), 'the rollout of a-build and no other')
  const byBen = (await told(fleet, '--by', 'ben')).history
  assert.ok(byBen.length > 0 && byBen.every(({ facts }) => facts.rollout === second))
  const inCanary = (await told(fleet, '--ring', 'canary')).history
  assert.ok(inCanary.some(({ event }) => event === 'ordered') && inCanary.some(({ event }) => event === 'ended'))
  assert.ok(inCanary.every(({ facts }) => facts.ring === undefined || facts.ring === 'canary'))
  assert.equal((await told(fleet, '--build', A, '--limit', '2')).history.length, 2)

  const endOfFirst = all.find(({ event, facts }) => event === 'ended' && facts.rollout === first)
  const before = await told(fleet, '--at', endOfFirst?.at ?? '')
  assert.deepEqual(
    before.inForce?.map(({ ring, build }) => [ring, build]).sort(),
    RINGS.map((ring) => [ring, A]),
  )
  assert.ok(before.history.every(({ seq }) => seq <= (endOfFirst?.seq ?? 0)))
  const words = await fleet.conduct('history', '--at', '1h')
  assert.match(words.stdout, /^At 2\d{3}-.* UTC:\n {2}nothing had been ordered in any ring yet\n/)
  assert.equal((await fleet.conduct('history', '--at', 'yesterday')).code, 2)

  for (const { facts } of begun) {
    const kept = await consul.kv.get(`hotcold/v1/web/rollouts/${String(facts.rollout)}`)
    const record = readRollout(Buffer.from(kept ?? ''))
    assert.deepEqual([record.build, record.phase], [facts.build, 'done'])
    assert.deepEqual(await fleet.ledger.finished(String(facts.rollout), AbortSignal.timeout(5_000)), record)
  }
})

test('audit verify names by number what was changed, misnumbered, unreadable, removed, added beside, or cut off', async (t) => {
  const { fleet, consul } = await started(t)
  const verify = (...argv: readonly string[]) => fleet.conduct('audit', 'verify', ...argv)
  const sound = await verify()
  assert.equal(sound.code, 0, sound.stdout)
  const [, newest = '', anchor = ''] = /Newest: (\d+):([0-9a-f]{64})/.exec(sound.stdout) ?? []
  assert.match(sound.stdout, new RegExp(`^${newest} entries up to ${newest}: every one as it was written\\.`))
  const last = Number(newest)
  const spoil = async (seq: number, value: string | null, says: RegExp, ...argv: readonly string[]) => {
    const before = (await consul.kv.get(entryKey(seq))) ?? ''
    if (value === null) await consul.kv.delete(entryKey(seq))
    else await consul.kv.put(entryKey(seq), value)
    const said = await verify(...argv)
    assert.equal(said.code, 1, said.stdout)
    assert.match(said.stdout, says)
    await consul.kv.put(entryKey(seq), before)
    assert.equal((await verify()).code, 0, 'and is whole again')
  }
  const third = (await consul.kv.get(entryKey(3))) ?? ''
  await spoil(3, third.replace('ana', 'eve'), /✖ entry 3 is not the one that entry 4 was written after\./)
  await spoil(3, third.replace('"seq":3', '"seq":33'), /✖ entry 3 says that it is entry 33\./)
  await spoil(3, '{', /✖ entry 3 cannot be read\./)
  await spoil(3, null, /✖ entry 3 is missing\./)
  await spoil(1, null, /✖ entry 1 is missing\./)
  const end = (await consul.kv.get(entryKey(last))) ?? ''
  const forged = end.replace('ben', 'eve')
  await consul.kv.put(entryKey(last), forged)
  assert.equal((await verify()).code, 0, 'the newest entry is vouched for by nobody yet')
  await consul.kv.put(entryKey(last), end)
  const at = ['--anchor', `${last}:${anchor}`]
  assert.equal((await verify(...at)).code, 0)
  await spoil(last, forged, new RegExp(`✖ entry ${last} has digest [0-9a-f]{64}, noted down was ${anchor}\\.`), ...at)
  await spoil(
    last,
    null,
    new RegExp(`✖ entry ${last} was noted down, and the history ends with entry ${last - 1}\\.`),
    ...at,
  )
  await consul.kv.put('hotcold/v1/web/history/readme', 'x')
  const stray = await verify('--json')
  assert.deepEqual(JSON.parse(stray.stdout).differences, [
    { seq: null, kind: 'stray', message: 'the key "readme" is no entry of the history' },
  ])
  await consul.kv.delete('hotcold/v1/web/history/readme')
  await consul.kv.delete(entryKey(3))
  assert.match(
    (await fleet.conduct('history', '--limit', '999')).stdout,
    /began to release b-build/,
    'the rest is told',
  )
})

test('A24: a write by hand is in the history once, as an orphan write, while a conductor drives', async (t) => {
  const { fleet } = await started(t)
  await fleet.publish('d-build' as BuildId)
  for (const node of fleet.nodes) node.stalled = true
  const running = fleet.start('release', 'd-build')
  await until('it stages', () => running.stderr().includes('waiting for nodes to stage'))
  const byHand = {
    v: 1,
    app: 'web',
    ring: 'production',
    generation: 700,
    build: A,
    manifest: digestFor(A),
    cutoff: 2 ** 32,
  }
  await fleet.put('production', JSON.stringify(byHand))
  const orphans = async () => (await told(fleet)).history.filter(({ event }) => event === 'orphan-write')
  await until('the history tells of it', async () => (await orphans()).length > 0, 10_000)
  await fleet.put('canary', A)
  assert.equal((await running.end).code, 3, 'the first holds the rollout, and its driver has ended')
  assert.equal((await fleet.conduct('release', 'd-build')).code, 3, 'who goes on with it looks first')
  await until('and of the other', async () => (await orphans()).length > 1, 10_000)
  await fleet.conduct('release', 'd-build')
  const found = await orphans()
  assert.deepEqual(
    found.map(({ by, facts }) => [by, facts.ring, facts.value]),
    [
      ['unknown', 'canary', A],
      ['unknown', 'production', JSON.stringify(byHand)],
    ],
    'each once, whatever looked after it',
  )
  const written = await fleet.client.get(fleet.client.keys('web').target('production'), AbortSignal.timeout(5_000))
  assert.equal(found[1]?.facts.modifyIndex, written.value?.modifyIndex)
  assert.equal((await fleet.conduct('audit', 'verify')).code, 0, 'and the chain holds')
})

test('a write by hand that nobody drove past is shown by history, and told of by the next verb that may write', async (t) => {
  const { fleet } = await started(t)
  const order = JSON.parse((await fleet.get('production')) ?? '') as Record<string, unknown>
  const tampered = JSON.stringify({ ...order, cutoff: 7 })
  await fleet.put('production', tampered)
  const shown = await fleet.conduct('history')
  assert.match(
    shown.stdout,
    /^! Not in the history yet: the target of production was written by hand \(ModifyIndex \d+\): \{"v":1,/,
  )
  const refused = await fleet.conduct('release', B)
  assert.equal(refused.code, 3, 'the same generation and rollout, and yet not what was written')
  assert.match(refused.stderr, /A target was written by someone who does not hold the lease/)
  const [newest] = (await told(fleet)).history
  assert.deepEqual(
    [newest?.event, newest?.by, newest?.facts.value],
    ['orphan-write', 'unknown', tampered.slice(0, 200)],
  )
  await fleet.delete('production')
  assert.match(
    (await fleet.conduct('history')).stdout,
    /^! Not in the history yet: the target of production was deleted/,
  )
  await fleet.conduct('release', B, '--ring', 'production')
  assert.match(
    (await fleet.conduct('history')).stdout,
    /the target of production was deleted by someone who does not hold the lease; noticed by ana/,
  )
  assert.equal((await told(fleet)).history.filter(({ event }) => event === 'orphan-write').length, 2)
})

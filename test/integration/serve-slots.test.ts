// Owns the proof that a daemon runs the day: slots, rings that take every build, a schedule file that changes, and what Prometheus is told of it.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { Clock } from '#fleet/ports.ts'
import { run } from '#test/support/conducting.ts'
import { serving } from '#test/support/serving.ts'
import { type Shop, startShop } from '#test/support/shop.ts'
import { until } from '#test/support/until.ts'

/** A clock that shows another day; it goes as fast as any. */
function setTo(iso: string): Clock {
  const aheadMs = Date.parse(iso) - systemClock.now()
  return { ...systemClock, now: () => systemClock.now() + aheadMs }
}

const SCHEDULE = `timezone: UTC
window: { days: [mon, tue, wed, thu, fri], from: "09:00", to: "17:00" }
times: ["10:00", "14:00"]
commanders: { rota: [ana, ben], every: slot }
`

/** A shop with a calendar. A Monday far from holidays. */
async function shopWith(t: TestContext, schedule: string): Promise<Shop> {
  const shop = await startShop(t, { rings: ['production'], nodes: 2 })
  await writeFile(join(shop.cwd, 'schedule.yaml'), schedule)
  await shop.configure('schedule: schedule.yaml\n')
  return shop
}

/** Early enough: what is due before a daemon is there is none of its slots. */
const startAt = (shop: Shop, iso: string) => ({
  start: (...argv: readonly string[]) => run([...argv, '--by', 'hotcold'], {}, shop.cwd, {}, setTo(iso)),
})

async function publish(shop: Shop, build: string): Promise<void> {
  await shop.put({ 'app.js': build })
  await shop.publish(build)
}

async function withoutStore({ cwd }: Shop, instead = ''): Promise<void> {
  const file = join(cwd, 'hotcold.yaml')
  await writeFile(file, (await readFile(file, 'utf8')).replace(/^store: .*$/m, instead))
}

const runs = (shop: Shop, build: string) => () => shop.fleet.nodes.every(({ hot }) => hot === build)

/** The value of one series in a text of Prometheus; null where there is none. */
function valueIn(text: string, series: string): number | null {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? null : Number(line.slice(series.length + 1))
}

suite('a daemon and its calendar', { concurrency: 4 }, () => {
  test('a slot fires the newest build, the daemon drives it, and schedule, history and metrics say so', async (t) => {
    const shop = await shopWith(t, SCHEDULE)
    await publish(shop, 'b1')
    const daemon = await serving(t, startAt(shop, '2027-03-01T09:59:50Z'))
    await until('every node runs what the slot released', runs(shop, 'b1'))
    const slot = 'conductor_slots_total{app="web",outcome="fired",reason="fired"}'
    const scrape = async () => (await daemon.get('/metrics')).text()
    await until('the rollout is counted', async () =>
      valueIn(await scrape(), 'conductor_rollouts_total{app="web",outcome="done"}'),
    )
    const text = await scrape()
    assert.equal(valueIn(text, slot), 1)
    const states = text.split('\n').filter((line) => line.startsWith('conductor_nodes{'))
    assert.equal(
      states.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0),
      2,
    )
    assert.equal(
      valueIn(text, 'conductor_next_slot_time_seconds{app="web"}'),
      Date.parse('2027-03-01T14:00:00Z') / 1_000,
    )
    assert.match(text, /conductor_consul_request_seconds_count\{[^}]*outcome="ok"[^}]*\} [1-9]/)
    const { stdout } = await shop.conduct('schedule', '--at', '2027-03-01T10:05:00Z')
    assert.match(stdout, /10:00 .*fired.* b1/)
    const told = await shop.conduct('history', '--json')
    assert.match(told.stdout, /"slot": ?"2027-03-01T10:00:00Z"/)
    assert.ok(daemon.lines().some(({ msg, slot }) => msg === 'slot decided' && slot === '2027-03-01T10:00:00Z'))
  })

  test('a release that asks the daemon outside deploy hours is refused; forced by name it goes through', async (t) => {
    const shop = await shopWith(t, SCHEDULE)
    await publish(shop, 'b1')
    const daemon = await serving(t, startAt(shop, '2027-02-28T12:00:00Z'))
    await daemon.leads()
    const sunday = startAt(shop, '2027-02-28T12:00:00Z')
    const refused = await sunday.start('release', 'b1').end
    assert.equal(refused.code, 3)
    assert.match(refused.stderr, /^Outside deploy hours: 2027-02-28 is a Sunday/)
    const forced = await sunday.start('release', 'b1', '--force', 'windows', '--reason', 'the cart is down').end
    assert.equal(forced.code, 0, forced.stderr)
    assert.ok(runs(shop, 'b1')())
  })

  test('a schedule file that breaks keeps the one before in force, and one that is mended counts without a restart', async (t) => {
    const shop = await shopWith(t, SCHEDULE)
    const daemon = await serving(t, startAt(shop, '2027-03-01T11:00:00Z'))
    const next = async () =>
      valueIn(await (await daemon.get('/metrics')).text(), 'conductor_next_slot_time_seconds{app="web"}')
    const file = join(shop.cwd, 'schedule.yaml')
    await writeFile(file, SCHEDULE.replace('times:', 'tims:'))
    await until('it says that the file cannot be used', () =>
      daemon.lines().some(({ msg, error }) => /stays in force/.test(msg) && /tims/.test(String(error))),
    )
    assert.equal(await next(), Date.parse('2027-03-01T14:00:00Z') / 1_000)
    await writeFile(file, SCHEDULE.replace('"14:00"', '"13:30"'))
    await until('the change counts', async () => (await next()) === Date.parse('2027-03-01T13:30:00Z') / 1_000)
  })

  test('a daemon whose config names no store fires its slots, as a release without one goes', async (t) => {
    const shop = await shopWith(t, SCHEDULE)
    await publish(shop, 'b1')
    await withoutStore(shop)
    const daemon = await serving(t, startAt(shop, '2027-03-01T09:59:55Z'))
    await until('every node runs what the slot released', runs(shop, 'b1'))
    assert.deepEqual(
      daemon.lines().filter(({ msg }) => msg === 'a duty has failed' || msg === 'leads no longer'),
      [],
    )
  })

  test('a slot that cannot be decided does not end its leader: it is said, and a rollback still goes through it', async (t) => {
    const shop = await shopWith(t, SCHEDULE)
    for (const build of ['b1', 'b2', 'b3']) {
      await publish(shop, build)
      if (build !== 'b3')
        assert.equal((await shop.conduct('release', build, '--force', 'windows', '--reason', 'first')).code, 0)
    }
    await withoutStore(shop, 'store: { url: "file://elsewhere/builds" }')
    const { start } = startAt(shop, '2027-03-01T09:59:55Z')
    const daemon = await serving(t, { start })
    const said = (msg: string) => daemon.lines().filter((line) => line.msg === msg)
    await until('it is said', () => said('slots cannot be decided').some(({ code }) => code === 'CONFIG_INVALID'))
    const back = await start('rollback', '--reason', 'worse').end
    assert.equal(back.code, 0, back.stderr)
    assert.match(back.stderr, /holds the lease: asking to roll back/)
    assert.doesNotMatch(back.stderr, /taking it away/)
    assert.ok(runs(shop, 'b1')())
    assert.deepEqual([said('leads from here on').length, said('a duty has failed')], [1, []])
  })

  test('a ring with autoRelease gets what is published by itself, and no other ring does', async (t) => {
    const shop = await startShop(t, { rings: ['staging', 'production'], nodes: 1 })
    const file = join(shop.cwd, 'hotcold.yaml')
    const plan = 'plan: [{ ring: staging, autoRelease: true }, { ring: production }]'
    await writeFile(file, (await readFile(file, 'utf8')).replace(/^rings: .*$/m, plan))
    const daemon = await serving(t, startAt(shop, '2027-02-28T12:00:00Z'))
    await daemon.leads()
    for (const build of ['b1', 'b2']) {
      await publish(shop, build)
      await until(`staging runs ${build}`, () => shop.fleet.nodes.some(({ hot }) => hot === build))
    }
    assert.equal(shop.fleet.nodes.filter(({ hot }) => hot === null).length, 1)
    assert.ok(daemon.lines().some(({ msg, build }) => msg === 'a build is released by itself' && build === 'b2'))
  })
})

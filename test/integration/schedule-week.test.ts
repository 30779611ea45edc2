// Owns a week of a team on a real Consul, by a clock that is set from slot to slot: each slot leaves the right record, and why explains each skipped one.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import { publications } from '#adapters/consul/publications.ts'
import { parseConfig } from '#adapters/runtime/config-file.ts'
import { watchFolder } from '#adapters/runtime/watch.ts'
import { watchSchedule } from '#conductor/shell/schedule-file.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import type { SlotRecord } from '#fleet/slot.ts'
import { writeLine } from '#fleet/wire.ts'
import { scheduleSchema } from '#schedule/load.ts'
import { conducting } from '#test/support/conducting.ts'
import { startConsul } from '#test/support/consul.ts'
import { APP } from '#test/support/rollout-sim.ts'
import { SetClock } from '#test/support/set-clock.ts'
import { type SlotDaemon, startSlotDaemon } from '#test/support/slot-daemon.ts'
import { until } from '#test/support/until.ts'

const RINGS = ['production'] as Name[]
const PLAN = [{ ring: 'production', progressSeconds: 0 }]
const signal = new AbortController().signal

/** Thanksgiving is on the Thursday; there is a freeze from Wednesday 11:00 on. */
const FILE = (slots: number, most: number | null) => `timezone: America/Los_Angeles
deploysPerDay: ${slots}
holidays: { country: US }
freezes: [{ from: 2025-11-26T11:00, to: 2025-11-27T00:00, reason: travel }]
commanders: { rota: [ana, ben, chloe] }
${most === null ? '' : `maxChangesPerDeploy: ${most}\n`}`

/** A time of the week in Los Angeles: `mon 09:00`. */
function moment(text: string): number {
  const [day = '', clock = ''] = text.split(' ')
  const date = 24 + ['mon', 'tue', 'wed', 'thu', 'fri', 'sat'].indexOf(day)
  return Date.parse(`2025-11-${date}T${clock}:00-08:00`)
}

interface Week {
  readonly clock: SetClock
  readonly told: string[]
  publish(build: string, at: string, checks?: Readonly<Record<string, string>>): Promise<void>
  /** Sets the clock to a slot, if that is still to come, and returns what became of it. */
  slot(at: string): Promise<SlotRecord>
  /** As `slot`, for one that begins nothing: why says so. */
  skipped(at: string, code: string, why: RegExp): Promise<SlotRecord>
  /** As `slot`, for one that fires: its rollout comes to its end. */
  fired(at: string, build: string): Promise<SlotRecord>
  over(): Promise<void>
  hold(reason: string | null): Promise<void>
  file(text: string): Promise<void>
  daemon(): Promise<SlotDaemon>
  stall(stalled: boolean): void
  conduct(
    ...argv: readonly string[]
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>
}

async function week(t: TestContext): Promise<Week> {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 2, config: { plan: PLAN, schedule: 'schedule.yaml' } })
  const { client, ledger, locks } = fleet
  const clock = new SetClock(moment('mon 08:00'))
  const path = join(fleet.dir, 'schedule.yaml')
  await writeFile(path, FILE(6, null))
  const told: string[] = []
  const schedule = await watchSchedule({
    ...{ path, watch: watchFolder, clock },
    parse: (text, name) => parseConfig(text, name, scheduleSchema, { hostname: 'desk', env: {} }),
    tell: (news) => void told.push(news.kind === 'changed' ? 'changed' : news.error.message),
  })
  const running = new Set<SlotDaemon>()
  t.after(async () => {
    await Promise.all([...running].map((one) => one.stop()))
    await schedule[Symbol.asyncDispose]()
  })
  const board = statusBoard(client, { app: APP })
  await until('the nodes report', async () => (await board.roster(RINGS[0] as Name, signal)).length === 2)
  const key = (at: string) => `${new Date(moment(at)).toISOString().slice(0, 19)}Z`

  const world: Week = {
    ...{ clock, told, conduct: (...argv) => fleet.conduct(...argv) },
    publish: (build, at, checks = {}) =>
      fleet.publish(build as BuildId, { createdAt: new Date(moment(at)).toISOString(), checks }),
    async slot(at) {
      clock.set(Math.max(clock.now(), moment(at)))
      const found = () => ledger.slots(key(at).slice(0, 10), signal)
      const entry = await until(`${at} is decided`, async () => (await found()).find(({ slot }) => slot === key(at)))
      assert.ok(entry.record !== null)
      return entry.record
    },
    async skipped(at, code, why) {
      const record = await world.slot(at)
      assert.deepEqual([record.outcome, record.code], ['skipped', code], record.reason)
      const { rollout } = await ledger.view(RINGS, signal)
      const alone = await fleet.conduct('why', '--slot', record.slot)
      assert.equal(alone.code, 0, alone.stderr)
      for (const said of rollout?.record.endedAt === null ? [alone] : [alone, await fleet.conduct('why')]) {
        assert.match(said.stdout, new RegExp(`slot ${record.slot}: .* \\(${code}\\)`))
        assert.match(said.stdout, why)
        assert.match(said.stdout, /type {5}conduct /)
      }
      return record
    },
    async fired(at, build) {
      const record = await world.slot(at)
      assert.deepEqual([record.outcome, record.build], ['fired', build], record.reason)
      await world.over()
      return record
    },
    over: () =>
      until('the rollout is over', async () => {
        const { rollout } = await ledger.view(RINGS, signal)
        return rollout?.record.phase === 'done'
      }).then(() => undefined),
    async hold(reason) {
      const { hold } = await ledger.view(RINGS, signal)
      const one = {
        ring: null,
        by: 'ben',
        reason: reason ?? '',
        at: new Date(clock.now()).toISOString(),
        expires: null,
      }
      await ledger.stop({ raw: writeLine(reason === null ? [] : [one]), index: hold?.index ?? 0 }, signal)
    },
    async file(text) {
      const before = told.length
      await writeFile(path, text)
      await until('the change is told', () => told.length > before)
    },
    async daemon() {
      const daemon = await startSlotDaemon({
        ...{ ledger, locks, board, catalog: catalog(client, { app: APP }), clock, rings: RINGS },
        route: { steps: [{ ring: RINGS[0] as Name, progressSeconds: 0 }], slotMinutes: 40 },
        calendar: schedule.calendar,
        published: (inner) => publications(client, { app: APP }, inner),
      })
      running.add(daemon)
      return {
        async stop() {
          running.delete(daemon)
          await daemon.stop()
        },
      }
    },
    stall(stalled) {
      for (const node of fleet.nodes) node.stalled = stalled
    },
  }
  return world
}

test('G4 G5 G6: a week: a hold, a long rollout, a change of the file, an outage, a freeze, a holiday and a pile of builds each leave the right record, and why explains each skipped slot', async (t) => {
  const team = await week(t)
  const monday = await team.daemon()
  await team.publish('b1', 'mon 08:30')
  const first = await team.fired('mon 09:00', 'b1')
  assert.ok(['ana', 'ben', 'chloe'].includes(first.commander ?? ''))
  await team.skipped('mon 10:20', 'nothing-new', /nothing newer than b1 is published/)
  await team.publish('b2', 'mon 11:00')
  await team.hold('database upgrade')
  await team.skipped('mon 11:40', 'line-held', /ben.*database upgrade/)
  await team.hold(null)
  await team.fired('mon 13:00', 'b2')
  await team.publish('b3', 'mon 14:00')
  team.stall(true)
  assert.equal((await team.slot('mon 14:20')).build, 'b3')
  const during = await team.skipped('mon 15:40', 'rollout-open', /rollout r-\d+ of b3 is open \(staging\)/)
  assert.equal(during.build, 'b3')
  team.stall(false)
  await team.over()

  team.clock.set(moment('tue 08:00'))
  await team.file('timezone: America/Los_Angeles\ndeploysPerDays: 3\n')
  assert.match(team.told.at(-1) ?? '', /schedule\.yaml:2: unknown key "deploysPerDays", did you mean "deploysPerDay"\?/)
  await team.skipped('tue 09:00', 'nothing-new', /b3/)
  await team.file(FILE(3, 3))
  await team.publish('b4', 'tue 10:00')
  team.clock.set(moment('tue 10:20'))
  await monday.stop()
  team.clock.set(moment('tue 13:00'))
  const tuesday = await team.daemon()
  await team.skipped('tue 11:40', 'missed', /nobody was there to fire it until/)
  await team.fired('tue 14:20', 'b4')
  await tuesday.stop()
  await team.publish('b5', 'tue 16:00')
  team.clock.set(moment('wed 09:05'))
  await team.daemon()
  await team.fired('wed 09:00', 'b5')

  await team.publish('b6', 'wed 10:00')
  for (const at of ['wed 11:40', 'wed 14:20']) await team.skipped(at, 'freeze', /until 2025-11-27 00:00: travel/)
  for (const at of ['thu 09:00', 'thu 11:40', 'thu 14:20'])
    await team.skipped(at, 'holiday', /2025-11-27 is Thanksgiving Day/)
  for (const build of ['b7', 'b8', 'b9']) await team.publish(build, `thu 1${build.slice(1)}:00`)
  await team.skipped(
    'fri 09:00',
    'too-many-changes',
    /b9 would bring 4 builds at once, and at most 3 go without a person[\s\S]*type {5}conduct release b9/,
  )
  await team.file(FILE(3, null))
  await team.fired('fri 11:40', 'b9')
  await team.publish('b10', 'fri 12:00', { ci: 'failed' })
  await team.skipped('fri 14:20', 'none-eligible', /b10 has not passed ci/)

  const shown = await team.conduct('schedule', '--at', '2025-11-28T23:00Z')
  assert.match(
    shown.stdout,
    /09:00 .* skipped: b9 would bring 4 builds at once.*\(too-many-changes\)\n.*11:40 .* fired: b9 by r-\d+\n.*14:20 .* skipped: b10 has not passed ci/,
  )
  const history = JSON.parse((await team.conduct('history', '--json', '--limit', '500')).stdout).history as {
    event: string
  }[]
  const count = (event: string) => history.filter((entry) => entry.event === event).length
  assert.deepEqual([count('release-begun'), count('slot-skipped')], [6, 12])
  const told = await team.conduct('history', '--limit', '500')
  assert.match(told.stdout, /conduct +the slot of 2025-11-27T17:00:00Z began nothing: 2025-11-27 is Thanksgiving Day/)
  assert.match(
    told.stdout,
    /conduct +began to release b9 to production \(r-\d+\): slot 2025-11-28 11:40 America\/Los_Angeles/,
  )
  assert.equal((await team.conduct('audit', 'verify')).code, 0)
})

// Owns the schedule file: what is refused, with line and suggestion, and what a schedule is explained as.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, findings } from '#schedule/explain.ts'
import { scheduled } from '#test/support/schedules.ts'

const refused: readonly (readonly [text: string, says: RegExp])[] = [
  [
    'timezone: UTC\ndeploysPerDays: 3\n',
    /schedule\.yaml:2: unknown key "deploysPerDays", did you mean "deploysPerDay"\?/,
  ],
  ['window:\n  form: "09:00"\n', /schedule\.yaml:2: unknown key "form", did you mean "from"\?/],
  ['timezone: Mars/Olympus\n', /schedule\.yaml:1: "timezone": must be a time zone like Europe\/Berlin/],
  [
    'window: { from: "17:00", to: "09:00" }\n',
    /"window\.to": must be after from: a span over midnight is written as two/,
  ],
  ['window: { from: 9 }\n', /"window\.from": must be a time in quotes/],
  ['window: { days: [] }\n', /"window\.days": must name a day/],
  ['window: { days: [monday] }\n', /must be one of mon, tue, wed, thu, fri, sat, sun/],
  ['deploysPerDay: 41\n', /schedule\.yaml:1: "deploysPerDay": must be at most 40/],
  ['deploysPerDay: 2.5\n', /must be a whole number/],
  ['deploysPerDay: 40\nspacingMinutes: 15\n', /schedule\.yaml:1: "deploysPerDay": slots do not fit into the window/],
  ['deploysPerDay: 3\ntimes: ["09:00"]\n', /schedule\.yaml:2: "times": and deploysPerDay cannot both be given/],
  ['times: ["17:00"]\n', /"times": must lie in the window/],
  ['times: ["10:00", "09:30"]\n', /"times": must rise/],
  ['times: ["10:00", "10:10"]\nspacingMinutes: 20\n', /"times": must rise, by spacingMinutes at least/],
  ['freezes:\n  - { from: 2026-12-24, to: 2026-12-20 }\n', /schedule\.yaml:1: "freezes": must end after they begin/],
  [
    'freezes:\n  - { from: 2026-02-30, to: 2026-03-02 }\n',
    /schedule\.yaml:2: "freezes\.0\.from": must be a date or a time/,
  ],
  ['holidays: { country: XX }\n', /schedule\.yaml: "holidays": no country XX is known/],
  ['holidays: { country: DE, region: ZZ }\n', /DE has no region ZZ, only .*BY/],
  ['holidays: { region: BY }\n', /names a region without its country/],
  ['holidays: { dates: ["25.12.2026"] }\n', /must be a date like 2026-12-25/],
  ['commanders: { rota: [] }\n', /"commanders\.rota": must name a person/],
  ['commanders: { rota: [ana], every: hour }\n', /commanders\.every/],
  ['blackouts: [{ from: "15:00", to: "15:00" }]\n', /blackouts\.0\.to/],
]

for (const [text, says] of refused) {
  test(`refused: ${text.trim().replaceAll('\n', ' | ')}`, async () => {
    await assert.rejects(scheduled(text), (error: Error) => {
      assert.match(error.message, says)
      return true
    })
  })
}

test('an empty file is Monday to Friday, nine to five UTC, twelve slots', async () => {
  const { holidayOn: _, ...schedule } = await scheduled('')
  assert.deepEqual(schedule, {
    timezone: 'UTC',
    days: ['mon', 'tue', 'wed', 'thu', 'fri'],
    from: 540,
    to: 1020,
    perDay: 12,
    times: null,
    spacingMinutes: 1,
    graceSeconds: 600,
    maxChangesPerDeploy: null,
    freezes: [],
    blackouts: [],
    rota: null,
    shifts: [],
    rotaStart: '2026-01-05',
  })
})

const NOW = Date.parse('2026-11-25T12:00:00Z')

test('a schedule is explained in sentences', async () => {
  const schedule = await scheduled(`timezone: America/Los_Angeles
holidays: { country: US }
freezes: [{ from: 2026-12-18T00:00, to: 2027-01-04T00:00, reason: year end }, { from: 2026-01-01, to: 2026-01-02 }]
blackouts: [{ days: [fri], from: "15:00", reason: weekend }]
commanders: { rota: [ana, ben, chloe] }
maxChangesPerDeploy: 5\n`)
  const lines = explain(schedule, NOW).join('\n')
  assert.match(
    lines,
    /On Monday, Tuesday, Wednesday, Thursday and Friday there are 12 slots from 09:00 to 17:00 America\/Los_Angeles, evenly spaced, the first at 09:00\./,
  )
  assert.match(lines, /The next holidays: 2026-11-26 Thanksgiving Day, 2026-12-25 Christmas Day, /)
  assert.match(lines, /Nothing is deployed from 2026-12-18 00:00 to 2027-01-04 00:00: year end\./)
  assert.match(lines, /Nothing is deployed on Friday from 15:00 to 24:00: weekend\./)
  assert.match(lines, /ana, ben and chloe command in turn, another every slot\./)
  assert.match(lines, /still fires when that is noticed within 600 seconds/)
  assert.match(lines, /more than 5 builds at once waits for a person/)
  assert.deepEqual(
    findings(schedule, NOW, 600).map(({ code }) => code),
    ['freeze-over'],
  )
})

test('slots that never open, a plan that does not fit, and slots without a commander are found', async () => {
  const codes = async (text: string, planSeconds: number | null = null) =>
    findings(await scheduled(text), NOW, planSeconds).map(({ code, message }) => `${code}: ${message}`)
  assert.deepEqual(await codes(''), [])
  const dark = await codes('blackouts: [{ from: "11:30", to: "12:30", reason: lunch }]\n')
  assert.deepEqual(dark, [
    'never-open: the slot at 11:40 never opens: a blackout is in force from 11:30 to 12:30: lunch',
    'never-open: the slot at 12:20 never opens: a blackout is in force from 11:30 to 12:30: lunch',
  ])
  assert.match((await codes('blackouts: [{ days: [fri] }]\n')).join(), /no slot of a Friday ever opens/)
  assert.match((await codes('blackouts: [{}]\n')).join(), /no slot opens within a year/)
  const long = (await codes('', 50 * 60)).join('\n')
  assert.match(long, /plan-longer-than-spacing: a rollout takes about 50 min by the plan, and slots are 40 min apart/)
  assert.match(long, /last-slot-late: .*that of the last slot \(16:20\) is not over at 17:00/)
  assert.deepEqual(await codes('', 40 * 60), [])
  assert.match(
    (await codes('commanders: { shifts: [{ from: "09:00", to: "12:00", rota: [ana] }] }\n')).join(),
    /nobody commands the slots at 12:20, /,
  )
})

// Owns the calendar as people meet it: `conduct schedule`, and a release by hand outside of deploy hours.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { run } from '#test/support/conducting.ts'
import { type Shop, startShop } from '#test/support/shop.ts'
import { tmp } from '#test/support/tmp.ts'

const EVERY_DAY = 'window: { days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00" }\n'
const CALENDAR = `timezone: America/Los_Angeles
holidays: { country: US }
freezes: [{ from: 2026-12-18T00:00, to: 2027-01-04T00:00, reason: year end }]
commanders: { rota: [ana, ben, chloe] }
`

async function desk(t: TestContext, schedule: string | null, config = '') {
  const dir = await tmp(t, 'desk')
  const consul = 'consul: { url: "http://127.0.0.1:1" }\n'
  const names = schedule === null ? '' : 'schedule: schedule.yaml\n'
  await writeFile(join(dir, 'hotcold.yaml'), `app: web\nrings: [production]\n${consul}${names}${config}`)
  if (schedule !== null) await writeFile(join(dir, 'schedule.yaml'), schedule)
  return (...argv: readonly string[]) => run(argv, {}, dir).end
}

test('schedule next names the slots to come, with their commanders, over a holiday; no Consul is needed', async (t) => {
  const conduct = await desk(t, CALENDAR)
  const { code, stdout, stderr } = await conduct('schedule', 'next', '3', '--at', '2026-11-26T00:00Z')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^ +DATE +SLOT +UTC +COMMANDER/)
  assert.match(stdout, /wed {2}2026-11-25 {2}16:20 {2}2026-11-26T00:20:00Z {2}(ana|ben|chloe)\n/)
  assert.match(stdout, /fri {2}2026-11-27 {2}09:00 {2}2026-11-27T17:00:00Z/)
  const { slots } = JSON.parse((await conduct('schedule', 'next', '40', '--at', '2026-11-26T00:00Z', '--json')).stdout)
  assert.equal(slots.length, 40)
  assert.deepEqual(new Set(slots.map(({ closed }: { closed: unknown }) => closed)), new Set([null]))
  assert.equal((await conduct('schedule', '7')).code, 2)
  const check = await conduct('schedule', 'check', '7')
  assert.equal(check.code, 2)
  assert.match(check.stderr, /conduct schedule check takes no number: next does/)
})

test('schedule check explains the file and warns of what is hardly meant; a broken file is named with line and suggestion', async (t) => {
  const conduct = await desk(t, CALENDAR, 'plan: [{ ring: production, soakSeconds: 2400 }]\n')
  const said = await conduct('schedule', 'check', '--at', '2026-11-25T12:00Z')
  assert.equal(said.code, 0, said.stderr)
  assert.match(said.stdout, /there are 12 slots from 09:00 to 17:00 America\/Los_Angeles/)
  assert.match(said.stdout, /A rollout takes 40 min 0 s by the plan, soaks alone: Consul did not answer/)
  assert.match(said.stdout, /Nothing in it looks unmeant/)
  const tight = await desk(t, `${CALENDAR}deploysPerDay: 24\n`, 'plan: [{ ring: production, soakSeconds: 2400 }]\n')
  assert.match(
    (await tight('schedule', 'check')).stdout,
    /Warning: a rollout takes .*slots are 20 min apart.*\(plan-longer-than-spacing\)/,
  )
  const { findings } = JSON.parse((await tight('schedule', 'check', '--json')).stdout)
  assert.equal(findings[0].code, 'plan-longer-than-spacing')
  const broken = await (await desk(t, 'timezone: UTC\ndeploysPerDays: 3\n'))('schedule')
  assert.equal(broken.code, 2)
  assert.match(broken.stderr, /schedule\.yaml:2: unknown key "deploysPerDays", did you mean "deploysPerDay"\?/)
  const none = await (await desk(t, null))('schedule')
  assert.equal(none.code, 2)
  assert.match(none.stderr, /web has no schedule: schedule: schedule\.yaml in the config names one/)
})

async function calendar(shop: Shop, text: string): Promise<void> {
  await writeFile(join(shop.cwd, 'schedule.yaml'), text)
}

test('G6: the calendar is asked when a release begins: closed refuses by name, --force and --emergency go past and are recorded, a rollback never asks', async (t) => {
  const shop = await startShop(t, { rings: ['production'] })
  await shop.configure('schedule: schedule.yaml\n')
  for (const build of ['b1', 'b2', 'b3']) {
    await shop.put({ 'app.js': build })
    await shop.publish(build)
  }
  await calendar(shop, EVERY_DAY)
  assert.equal((await shop.conduct('release', 'b1')).code, 0)
  const today = await shop.conduct('schedule')
  assert.match(today.stdout, /12 slots\. It is \d\d:\d\d(:\d\d)?: open\.?/)
  assert.match(today.stdout, /09:00|00:00/)
  const local = await shop.conduct('why', '--slot', '09:00')
  assert.equal(local.code, 2)
  assert.match(local.stderr, /"09:00" is no instant: .* like 2026-11-22T17:00:00Z/)

  await calendar(shop, `${EVERY_DAY}freezes: [{ from: 2020-01-01, to: 2099-01-01, reason: year end }]\n`)
  const refused = await shop.conduct('release', 'b2')
  assert.equal(refused.code, 3, refused.stdout + refused.stderr)
  assert.match(
    refused.stderr,
    /Outside deploy hours: a freeze is in force until 2099-01-02 00:00: year end; nothing was written; conduct release b2 --force windows --reason TEXT goes past it/,
  )
  const dry = await shop.conduct('release', 'b2', '--dry-run')
  assert.match(dry.stdout, /windows: in the way, a freeze is in force/)
  const past = await shop.conduct('release', 'b2', '--emergency', '--reason', 'outage', '--by', 'ben')
  assert.equal(past.code, 0, past.stderr)
  assert.match(past.stderr, /Going past windows: a freeze is in force/)
  const entries = JSON.parse((await shop.conduct('history', '--json')).stdout).history
  const begun = entries.find((entry: { event: string }) => entry.event === 'release-begun')
  assert.deepEqual(
    [begun.by, begun.facts.forced, begun.facts.emergency, begun.facts.reason],
    ['ben', 'gates, windows', true, 'outage'],
  )
  const back = await shop.conduct('rollback', '--reason', 'worse')
  assert.equal(back.code, 0, back.stderr)
  assert.match(back.stderr, /Outside deploy hours \(a freeze is in force .*\): a rollback asks no calendar/)

  await calendar(shop, 'timezone: UTC\nwindow: { form: "1" }\n')
  assert.equal((await shop.conduct('release', 'b3')).code, 2, 'nobody knows whether it may')
  const status = await shop.conduct('status')
  assert.equal(status.code, 0)
  assert.match(status.stderr, /the schedule is not read: .*schedule\.yaml:2: unknown key "form"/)
  const named = await shop.conduct('rollback', '--to', 'b2')
  assert.equal(named.code, 0, `a broken calendar stops no rollback: ${named.stderr}`)
})

// Owns the schedule file under a running daemon, on a real folder: what counts, what is kept, and what is said.
import assert from 'node:assert/strict'
import { mkdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { systemClock } from '#adapters/runtime/clock.ts'
import { parseConfig } from '#adapters/runtime/config-file.ts'
import { watchFolder } from '#adapters/runtime/watch.ts'
import { watchSchedule } from '#conductor/shell/schedule-file.ts'
import { isFleetError } from '#fleet/errors.ts'
import { scheduleSchema } from '#schedule/load.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

const parse = (text: string, path: string) => parseConfig(text, path, scheduleSchema, { hostname: 'desk', env: {} })

async function watched(t: TestContext, text: string) {
  const path = join(await tmp(t, 'schedule'), 'schedule.yaml')
  await writeFile(path, text)
  const told: string[] = []
  const file = await watchSchedule({
    ...{ path, parse, watch: watchFolder, clock: systemClock },
    tell: (news) => void told.push(news.kind === 'changed' ? 'changed' : `kept: ${news.error.message}`),
  })
  t.after(() => file[Symbol.asyncDispose]())
  return { path, told, file, perDay: () => file.calendar().schedule?.perDay }
}

test('a valid change counts without a restart, also one that is renamed into place', async (t) => {
  const { path, told, file, perDay } = await watched(t, 'deploysPerDay: 3\n')
  assert.deepEqual([perDay(), file.calendar().changedMs], [3, null])
  const before = Date.now()
  await writeFile(path, 'deploysPerDay: 5\n')
  await until('it counts', () => perDay() === 5)
  assert.ok((file.calendar().changedMs ?? 0) >= before)
  await writeFile(`${path}.new`, 'deploysPerDay: 7\n')
  await rename(`${path}.new`, path)
  await until('it counts', () => perDay() === 7)
  assert.deepEqual(told, ['changed', 'changed'])
})

test('an invalid change, and a file that is gone, keep what was in force and say so once; the next valid one counts', async (t) => {
  const { path, told, file, perDay } = await watched(t, 'deploysPerDay: 3\n')
  await writeFile(path, 'timezone: UTC\ndeploysPerDays: 5\n')
  await until('it is said', () => told.length === 1)
  assert.match(
    told[0] ?? '',
    /^kept: .*schedule\.yaml:2: unknown key "deploysPerDays", did you mean "deploysPerDay"\?$/,
  )
  assert.equal(perDay(), 3)
  assert.ok(isFleetError(file.trouble(), 'CONFIG_INVALID'))
  await rm(path)
  await until('it is said', () => told.length === 2)
  assert.match(told[1] ?? '', /^kept: there is no schedule file/)
  const since = file.calendar().changedMs
  await writeFile(path, 'deploysPerDay: 3\n')
  await until('it is in force again', () => file.trouble() === null)
  assert.deepEqual(
    [perDay(), file.calendar().changedMs, told.length],
    [3, since, 2],
    'the same schedule: nothing changed',
  )
  await writeFile(path, 'deploysPerDay: 4\n')
  await until('it counts', () => perDay() === 4)
})

test('a comment is no change: slots that wait under the schedule before it are still decided', async (t) => {
  const { path, told, file, perDay } = await watched(t, 'deploysPerDay: 3\ntimezone: UTC\n')
  await writeFile(path, '# ours\ntimezone: UTC\ndeploysPerDay: 3\n')
  await writeFile(path, 'deploysPerDay: 99\n')
  await until('the next look has been', () => told.length === 1)
  assert.deepEqual([perDay(), file.calendar().changedMs], [3, null])
  await writeFile(path, '# ours\ntimezone: UTC\ndeploysPerDay: 3\n')
  await until('it is in order again', () => file.trouble() === null)
  assert.deepEqual([file.calendar().changedMs, told.length], [null, 1])
})

test('a file that is written in two halves counts when it is whole: half of it is a valid schedule of another kind', async (t) => {
  const { path, told, perDay } = await watched(t, 'deploysPerDay: 3\n')
  for (let i = 0; i < 5; i += 1) {
    await writeFile(path, '')
    await setImmediate()
    await writeFile(path, `deploysPerDay: ${4 + i}\n`)
    await until('it counts', () => perDay() === 4 + i)
  }
  assert.deepEqual(told, Array(5).fill('changed'))
})

test('a file that lost its text, is no file, or is far too large keeps what was in force: no text would mean twelve deploys a day', async (t) => {
  const { path, told, perDay } = await watched(t, 'deploysPerDay: 3\n')
  const kept = async (words: RegExp) => {
    await until('it is said', () => told.some((line) => words.test(line)))
    assert.equal(perDay(), 3)
  }
  await writeFile(path, '')
  await kept(/^kept: .*schedule\.yaml says nothing/)
  await writeFile(path, `# ${'a comment. '.repeat(20_000)}\ndeploysPerDay: 4\n`)
  await kept(/^kept: .*schedule\.yaml has \d+ bytes, and a schedule at most 131072$/)
  await rm(path)
  await mkdir(path)
  await kept(/^kept: .*schedule\.yaml is no file$/)
  await rmdir(path)
  await writeFile(path, 'deploysPerDay: 5\n')
  await until('it counts', () => perDay() === 5)
  assert.equal(told.filter((line) => line === 'changed').length, 1)
})

test('a daemon does not begin with a schedule that is not valid', async (t) => {
  for (const text of ['deploysPerDay: 99\n', '', '# nothing yet\n'])
    await assert.rejects(watched(t, text), (error) => isFleetError(error, 'CONFIG_INVALID'))
})

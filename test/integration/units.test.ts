// Owns the proof that what `systemd/install` lays down is in order, without booting anything: systemd's own analysis of the units, into a folder.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { tmp } from '#test/support/tmp.ts'

const exec = promisify(execFile)
const REPOSITORY = new URL('../..', import.meta.url).pathname

/** As much of an installation as the units and their installer look at, in a folder that units may see. */
async function installation(t: TestContext) {
  const dir = await tmp(t, 'units')
  const here = join(dir, 'hotcold')
  for (const part of ['systemd', 'docs/samples', 'puller/puller', 'conductor/conduct', 'docs/install.md']) {
    cpSync(join(REPOSITORY, part), join(here, part), { recursive: true })
  }
  mkdirSync(join(here, 'node_modules/.bin'), { recursive: true })
  symlinkSync(process.execPath, join(here, 'node_modules/.bin/node'))
  const into = join(dir, 'image')
  mkdirSync(join(into, 'etc'), { recursive: true })
  const install = (...parts: readonly string[]) => exec(join(here, 'systemd/install'), ['--root', into, ...parts])
  return { here, into, install, at: (path: string) => join(into, path) }
}

test('units name the folder they were installed from, and are clean for systemd', async (t: TestContext) => {
  const { here, install, at } = await installation(t)
  await install('puller@web', 'conductor')
  for (const [unit, program] of [
    ['hotcold-puller@.service', 'puller/puller'],
    ['hotcold-conductor.service', 'conductor/conduct'],
  ] as const) {
    const path = at(`etc/systemd/system/${unit}`)
    assert.match(readFileSync(path, 'utf8'), new RegExp(`^ExecStart=${here}/${program} `, 'm'))
    const { stdout, stderr } = await exec('systemd-analyze', ['verify', '--recursive-errors=no', path])
    assert.equal(`${stdout}${stderr}`, '', `${unit} is clean`)
    // Ten times the figure that people read: at most 2.0.
    await exec('systemd-analyze', ['security', '--offline=true', '--threshold=20', path])
  }
})

test('an installation makes the user, the root and a first configuration for each app', async (t: TestContext) => {
  const { install, at } = await installation(t)
  const { stdout } = await install('puller@web', 'puller@api')
  assert.match(stdout, /edit \/etc\/hotcold\/puller\/api.yaml/)
  assert.match(readFileSync(at('etc/passwd'), 'utf8'), /^hotcold:/m)
  const uid = Number(/^hotcold:[^:]*:(\d+):/m.exec(readFileSync(at('etc/passwd'), 'utf8'))?.[1])
  assert.equal(statSync(at('srv/api')).uid, uid)
  assert.equal(statSync(at('etc/credstore')).mode & 0o777, 0o700)
  const config = readFileSync(at('etc/hotcold/puller/api.yaml'), 'utf8')
  assert.match(config, /^app: api/m)
  assert.match(config, /^root: \/srv\/api/m)
})

test('a second installation leaves configurations alone', async (t: TestContext) => {
  const { install, at } = await installation(t)
  await install('puller@web')
  writeFileSync(at('etc/hotcold/puller/web.yaml'), 'mine\n')
  await install('puller@web')
  assert.equal(readFileSync(at('etc/hotcold/puller/web.yaml'), 'utf8'), 'mine\n')
})

test('what cannot be installed is refused with the reason', async (t: TestContext) => {
  const { install } = await installation(t)
  await assert.rejects(install(), /usage/)
  await assert.rejects(install('pusher'), /pusher is neither puller@APP nor conductor/)
  await assert.rejects(install('puller@We b'), /is no name of an app/)
})

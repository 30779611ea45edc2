// Owns the proof that a config mistake is told with its line, and that variables expand before anything is checked.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import * as v from 'valibot'
import { type ConfigWorld, parseConfig, readConfigFile } from '#adapters/runtime/config-file.ts'
import { conductSchema } from '#conductor/config.ts'
import { isFleetError } from '#fleet/errors.ts'
import { pullerSchema } from '#puller/config.ts'
import { tmp } from '#test/support/tmp.ts'

const schema = v.strictObject({
  app: v.string(),
  node: v.optional(v.string(), 'n1'),
  consul: v.optional(v.strictObject({ url: v.string(), tokenFile: v.optional(v.string()) })),
  drain: v.optional(
    v.variant('kind', [
      v.strictObject({ kind: v.literal('none') }),
      v.strictObject({ kind: v.literal('http'), url: v.string(), timeoutSeconds: v.optional(v.number(), 60) }),
    ]),
    { kind: 'none' },
  ),
  plan: v.optional(v.array(v.strictObject({ ring: v.string(), soakSeconds: v.optional(v.number(), 0) })), []),
})
const world: ConfigWorld = { hostname: 'web-7', env: { CONSUL: 'http://127.0.0.1:8500' } }

function complaintOf(text: string): string {
  try {
    parseConfig(text, 'puller.yaml', schema, world)
  } catch (error) {
    assert.ok(isFleetError(error, 'CONFIG_INVALID'), String(error))
    return error.message
  }
  return assert.fail('the config was accepted')
}

test('a config that fits comes back with its defaults', () => {
  const config = parseConfig('app: web\n', 'puller.yaml', schema, world)
  assert.deepEqual(config, { app: 'web', node: 'n1', drain: { kind: 'none' }, plan: [] })
})

test('the host name and the environment expand, and a doubled dollar stays as written', () => {
  const text = 'app: $${x}\nnode: ${hostname}\nconsul:\n  url: "${CONSUL}/"\n'
  const config = parseConfig(text, 'puller.yaml', schema, world)
  assert.equal(config.app, '${x}')
  assert.equal(config.node, 'web-7')
  assert.equal(config.consul?.url, 'http://127.0.0.1:8500/')
})

test('a variable that is not set is named with its line', () => {
  assert.equal(complaintOf('app: web\nconsul:\n  url: ${NOWHERE}\n'), 'puller.yaml:3: ${NOWHERE} is not set')
})

test('an unknown key is named with its line and the key that was meant', () => {
  assert.equal(complaintOf('app: web\n\ndran: {}\n'), 'puller.yaml:3: unknown key "dran", did you mean "drain"?')
})

test('an unknown key inside one of several kinds is named with its line', () => {
  const text = 'app: web\ndrain:\n  kind: http\n  url: http://x\n  timoutSeconds: 3\n'
  assert.equal(complaintOf(text), 'puller.yaml:5: unknown key "timoutSeconds", did you mean "timeoutSeconds"?')
})

test('an unknown key in a list is named with its line, without a guess when nothing is near', () => {
  const text = 'app: web\nplan:\n  - ring: staging\n  - ring: canary\n    zebra: 1\n'
  assert.equal(complaintOf(text), 'puller.yaml:5: unknown key "zebra"')
})

test('a missing key is named with the line of what lacks it', () => {
  assert.equal(complaintOf('app: web\nconsul:\n  tokenFile: /t\n'), 'puller.yaml:2: key "consul.url" is missing')
  assert.equal(complaintOf('node: a\n'), 'puller.yaml: key "app" is missing')
  assert.equal(complaintOf(''), 'puller.yaml: key "app" is missing')
})

test('a value of the wrong kind is named with its line and what was expected', () => {
  const said = complaintOf('app: web\ndrain: { kind: http, url: http://x, timeoutSeconds: soon }\n')
  assert.match(said, /^puller\.yaml:2: "drain\.timeoutSeconds": .*number.*"soon"/)
})

test('an unknown kind is named with its line', () => {
  assert.match(complaintOf('app: web\ndrain:\n  kind: gently\n'), /^puller\.yaml:3: "drain\.kind": .*gently/)
})

test('text that is no YAML, or a key given twice, is refused with its line', () => {
  assert.match(complaintOf('app: web\nnode: [\n'), /^puller\.yaml:\d: /)
  assert.match(complaintOf('app: web\napp: web2\n'), /^puller\.yaml:2: .*unique/)
})

test('a file that is not there is another error than one that is wrong', async (t: TestContext) => {
  const dir = await tmp(t)
  const path = join(dir, 'hotcold.yaml')
  assert.throws(() => readConfigFile(path, schema, world), { code: 'CONFIG_MISSING' })
  await writeFile(path, 'app: web\n')
  assert.equal(readConfigFile(path, schema, world).app, 'web')
  assert.throws(() => readConfigFile(dir, schema, world), { code: 'CONFIG_INVALID' })
})

test('a bomb of aliases, one that leads nowhere, and nesting without end are refused like any other mistake', () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]', 'b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]']
  for (const name of 'cdefg') {
    const before = String.fromCharCode(name.charCodeAt(0) - 1)
    bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(', ')}]`)
  }
  assert.match(complaintOf(bomb.join('\n')), /^puller\.yaml: excessive alias count/)
  assert.match(complaintOf('app: *nowhere\n'), /^puller\.yaml: unresolved alias .*nowhere/)
  for (const open of ['- ', '[', '{ a: '])
    assert.match(complaintOf(open.repeat(50_000)), /^puller\.yaml(:1)?: it nests too deeply$/)
})

test('names that every object inherits are no variables', () => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    assert.equal(complaintOf(`app: \${${name}}\n`), `puller.yaml:1: \${${name}} is not set`)
  }
})

test('a complaint stays short, however long the value is', () => {
  assert.ok(complaintOf(`app: web\ndrain: { kind: ${'x'.repeat(100_000)} }\n`).length < 1_000)
})

test('a file that is not UTF-8 is refused: no replacement character becomes part of a value', async (t: TestContext) => {
  const path = join(await tmp(t), 'puller.yaml')
  await writeFile(path, Buffer.from('app: "w\xffb"\n', 'latin1'))
  assert.throws(
    () => readConfigFile(path, schema, world),
    (error) => isFleetError(error, 'CONFIG_INVALID') && /is not UTF-8$/.test(error.message),
  )
})

test('no limit of a sample may be without end: Node fires a timer that is too long at once', () => {
  const puller = { app: 'web', ring: 'production', node: 'n1', root: '/srv/web', store: { url: 'file:///srv/builds' } }
  const wrong = [
    { verify: { http: 'http://127.0.0.1/', timeoutSeconds: Infinity } },
    { verify: { http: 'http://127.0.0.1/', intervalMs: 1e12 } },
    { fetch: { stallSeconds: Infinity } },
    { fetch: { maxBytesPerSecond: Infinity } },
    { hooks: { afterSwap: { argv: ['x'], timeoutSeconds: 1e9 } } },
    { drain: { kind: 'none', intervalMs: Infinity } },
  ]
  for (const keys of wrong) assert.equal(v.safeParse(pullerSchema, { ...puller, ...keys }).success, false)
  assert.ok(v.safeParse(pullerSchema, puller).success)
  assert.equal(v.safeParse(conductSchema, { waveSeconds: Infinity }).success, false)
})

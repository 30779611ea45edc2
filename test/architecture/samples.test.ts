// Owns the freshness of the sample configs: they are valid, they name every key, and where they show a default it is the default.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '#adapters/runtime/config-file.ts'
import { conductSchema } from '#conductor/config.ts'
import { prestageOf, SLACK, type Step, stagesOf } from '#conductor/core/route.ts'
import { pullerSchema } from '#puller/config.ts'
import { scheduleSchema } from '#schedule/load.ts'
import { readText } from '#test/support/source.ts'

const world = { hostname: 'web-7', env: {} }

/** Every key of a schema, at any depth. */
function keysOf(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { wrapped, options, entries, item, pipe } = schema as Record<string, unknown>
  const inner = [wrapped, item, ...(Array.isArray(options) ? options : []), ...(Array.isArray(pipe) ? pipe : [])]
  const own = typeof entries === 'object' && entries !== null ? Object.entries(entries) : []
  const nested = own.flatMap(([key, value]) => [key, ...keysOf(value)])
  // A piped schema is itself the first of its pipe.
  return [...new Set([...nested, ...inner.filter((one) => one !== schema).flatMap(keysOf)])]
}

/** Keys that a person need not see in a sample: the way a value may also be written. */
const ELSEWHERE = new Set(['argv', 'body', 'json', 'header'])

test('the sample of the puller is valid, names every key, and shows the defaults', () => {
  const text = readText('docs/samples/puller.yaml')
  const sample = parseConfig(text, 'puller.yaml', pullerSchema, world)
  const missing = keysOf(pullerSchema).filter((key) => !ELSEWHERE.has(key) && !new RegExp(`\\b${key}\\b`).test(text))
  assert.deepEqual(missing, [])

  const least =
    'app: web\nring: production\nnode: web-7\nroot: /srv/web\nstore: { url: "s3://builds/web" }\nverify: {}\n'
  const defaults = parseConfig(least, 'least.yaml', pullerSchema, world)
  const { drain, hooks, verify, metrics, ...rest } = sample
  const { drain: defaultDrain, hooks: _hooks, verify: defaultVerify, metrics: _metrics, ...restDefaults } = defaults
  assert.deepEqual(rest, restDefaults)
  assert.deepEqual({ ...verify, http: undefined }, { ...defaultVerify, http: undefined })
  assert.deepEqual({ ...drain, kind: 'none', url: undefined }, { ...defaultDrain, url: undefined })
})

test('the sample of the conductor is valid, names every key, and shows the defaults', () => {
  const text = readText('docs/samples/hotcold.yaml')
  const sample = parseConfig(text, 'hotcold.yaml', conductSchema, world)
  const missing = keysOf(conductSchema).filter((key) => !ELSEWHERE.has(key) && !new RegExp(`\\b${key}\\b`).test(text))
  assert.deepEqual(missing, [])
  const defaults = parseConfig('', 'least.yaml', conductSchema, world)
  const { app, store, plan, ...rest } = sample
  assert.deepEqual([app, store?.url], ['web', 's3://builds/web'])
  const stages = (steps: readonly Step[]) => {
    const rings = steps.map(({ ring }) => ring)
    return [stagesOf({ steps, slotMinutes: 40 }, rings), prestageOf({ steps, slotMinutes: 40 }, rings)]
  }
  assert.deepEqual(stages(plan ?? []), stages(SLACK), 'the plan that counts without one')
  assert.deepEqual(rest, defaults)
})

test('the sample of the schedule is valid, names every key, and shows the defaults', () => {
  const text = readText('docs/samples/schedule.yaml')
  const sample = parseConfig(text, 'schedule.yaml', scheduleSchema, world)
  const missing = keysOf(scheduleSchema).filter((key) => !new RegExp(`\\b${key}\\b`).test(text))
  assert.deepEqual(missing, [])
  assert.ok(keysOf(scheduleSchema).includes('graceSeconds'))
  const defaults = parseConfig('', 'least.yaml', scheduleSchema, world)
  assert.deepEqual({ ...sample, deploysPerDay: undefined }, { ...defaults, deploysPerDay: undefined })
  assert.equal(sample.deploysPerDay, 12)
})

// Owns the proof that log lines are JSON with our fields, and that no secret is written.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, type LogLevel } from '#adapters/runtime/logger.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Logger } from '#fleet/ports.ts'

function capture(level: LogLevel = 'debug'): { log: Logger; lines: string[]; last: () => Record<string, unknown> } {
  const lines: string[] = []
  const log = createLogger({ name: 'puller', level, write: (line) => lines.push(line) })
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') }
}

test('a line carries level, time, name, message and facts', () => {
  const { log, last } = capture()
  log.info('phase changed', { phase: 'draining', generation: 57 })
  const { time, pid, ...rest } = last()
  assert.deepEqual(rest, { level: 'info', name: 'puller', msg: 'phase changed', phase: 'draining', generation: 57 })
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
  assert.equal(pid, process.pid)
})

test('lines below the level are not written', () => {
  const { log, lines } = capture('warn')
  log.info('quiet')
  log.debug('quiet')
  log.error('loud')
  assert.equal(lines.length, 1)
})

test('an error of ours is written with its code and causes, a foreign one with its stack', () => {
  const { log, last } = capture()
  log.warn('fetch failed', {
    error: new FleetError('STORE_STALLED', 'no byte for 30 s', { cause: new Error('socket') }),
  })
  assert.deepEqual(last().error, { code: 'STORE_STALLED', message: 'no byte for 30 s: socket' })
  log.error('bug', { error: new TypeError('x is not a function') })
  const error = last().error as Record<string, unknown>
  assert.equal(error.message, 'x is not a function')
  assert.match(String(error.stack), /logger\.test/)
})

test('H9: no secret reaches a log line, by name, in an address or in an error', () => {
  const canary = 'c4nary-5ecret'
  const { log, lines } = capture()
  log.info('config read', {
    token: canary,
    consul: { token: canary, tokenFile: '/etc/token', headers: { 'X-Consul-Token': canary } },
    store: { secretAccessKey: canary, credentials: { any: canary } },
    list: [{ password: canary }],
    url: `http://me:${canary}@host/x?token=${canary}&wait=1s`,
    signed: new URL(`https://host/o?X-Amz-Signature=${canary}`),
    error: new Error('outer', { cause: new Error(`GET https://me:${canary}@host failed`) }),
  })
  const line = lines.join('')
  assert.doesNotMatch(line, new RegExp(canary))
  assert.match(line, /\/etc\/token/)
  assert.match(line, /wait=1s/)
})

test('facts that JSON cannot carry do not break the line', () => {
  const { log, last } = capture()
  const circle: Record<string, unknown> = {}
  circle.self = circle
  log.info('odd', { big: 12n, circle, none: undefined })
  assert.equal(last().big, '12')
  assert.equal(last().msg, 'odd')
})

test('H9: a line break in a fact does not begin a new log line', () => {
  const { log, lines } = capture()
  log.info('odd', { path: 'a\n{"level":"error"}' })
  assert.equal(lines.join('').trimEnd().split('\n').length, 1)
})

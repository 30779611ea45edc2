// Owns the proof of HTTP and command gates on real servers and processes: every end of either is the right verdict, and nothing outlives it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#adapters/runtime/clock.ts'
import { FRESH, judge } from '#conductor/core/gate.ts'
import type { CommandGate, Expected, HttpGate } from '#conductor/core/gates.ts'
import { evaluator } from '#conductor/shell/evaluate.ts'
import { COHORT } from '#test/support/gates.ts'
import { listen } from '#test/support/listen.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

const NEVER = new AbortController().signal
const common = { name: 'check', rings: null, forMs: 0, intervalMs: 1_000, timeoutMs: 5_000 }

const evaluateIn = (dir: string) =>
  evaluator({
    clock: systemClock,
    place: { dir, env: { PATH: process.env.PATH, SECRET: 'of the conductor' } },
    metrics: () => assert.fail('no metrics are asked'),
    baseline: () => assert.fail('no baseline is asked'),
  })

async function verdictOf(gate: HttpGate | CommandGate, dir = '/', signal = NEVER) {
  const { reading, output } = await evaluateIn(dir)(gate, COHORT, signal)
  const { verdict, reason, message } = judge(gate, reading, [], FRESH, 0)
  return { verdict, reason, message, output }
}

const ANY: Expected = { status: null, text: null, json: {}, holdOn: [] }

async function site(t: TestContext, answer: (url: string, response: ServerResponse) => void) {
  const server = createServer((request, response) => answer(request.url ?? '', response))
  const base = `http://${await listen(t, server)}`
  return (path: string, expect: Partial<Expected> = {}, timeoutMs = 5_000): HttpGate => {
    return { ...common, timeoutMs, kind: 'http', url: base + path, headers: {}, expect: { ...ANY, ...expect } }
  }
}

test('an HTTP gate passes with what it expects, fails with anything else, and holds where that is what it was told', async (t) => {
  const asked: string[] = []
  const gate = await site(t, (url, response) => {
    asked.push(url)
    const [, status = '200', body = ''] = url.split('?')[0]?.split('/') ?? []
    response.writeHead(Number(status), { location: '/200/elsewhere' }).end(decodeURIComponent(body))
  })
  const said = async (path: string, expect?: Partial<Expected>) => {
    const { verdict, message } = await verdictOf(gate(path, expect))
    return `${verdict}: ${message}`
  }
  assert.equal(await said('/204/'), 'pass: it answered 204 as expected')
  assert.equal(await said('/503/'), 'fail: it answered 503, and a status of 200 to 299 was expected')
  assert.equal(await said('/302/'), 'fail: it answered 302, and a status of 200 to 299 was expected')
  assert.equal(await said('/201/', { status: 200 }), 'fail: it answered 201, and status 200 was expected')
  assert.equal(await said('/503/', { holdOn: [503] }), 'inconclusive: it answered 503: no verdict yet')
  assert.match(await said('/200/all%20well', { text: 'well' }), /^pass/)
  assert.equal(await said('/200/ill', { text: 'well' }), 'fail: its answer does not hold "well"')
  const ready = { 'checks.db': 'up', ready: true }
  assert.match(await said('/200/{"ready":true,"checks":{"db":"up"}}', { json: ready }), /^pass/)
  assert.equal(
    await said('/200/{"ready":true,"checks":{"db":"slow"}}', { json: ready }),
    'fail: checks.db of its answer is "slow", and "up" was expected',
  )
  assert.match(await said('/200/{"ready":true}', { json: ready }), /^fail: checks.db of its answer is missing/)
  assert.equal(await said('/200/<html>', { json: ready }), 'fail: its answer is no JSON')
  await said('/200/?build={{build}}&nodes={{nodes}}')
  assert.equal(asked.at(-1), '/200/?build=b-build&nodes=node-0%7Cnode-1')
})

test('an HTTP gate that nobody answers in whole is no verdict, and a signal ends it', async (t) => {
  const gate = await site(t, (url, response) => {
    if (url === '/drips') response.writeHead(200).write('a')
    if (url === '/large') response.end(Buffer.alloc(2 * 1024 * 1024))
    if (url === '/broken') response.destroy()
  })
  const said = async (path: string) => {
    const { verdict, reason, message } = await verdictOf(gate(path, {}, 300))
    return `${verdict} ${reason} ${message}`
  }
  for (const path of ['/mute', '/drips']) {
    assert.match(await said(path), /^inconclusive no-answer GATE_NO_ANSWER .* gave no whole answer within 300 ms$/)
  }
  assert.match(await said('/large'), /^inconclusive no-answer GATE_NO_ANSWER .* more than 1048576 bytes$/)
  assert.match(await said('/broken'), /^inconclusive no-answer GATE_NO_ANSWER .* cannot be reached/)
  const stop = new AbortController()
  const asked = verdictOf(gate('/mute'), '/', stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(asked, /enough/)
})

/** A gate by a script, in a folder of its own. */
async function script(t: TestContext, text: string, timeoutMs = 20_000) {
  const dir = await tmp(t, 'gate')
  await writeFile(join(dir, 'check.sh'), `#!/bin/sh\n${text}\n`)
  await chmod(join(dir, 'check.sh'), 0o755)
  const gate: CommandGate = { ...common, timeoutMs, kind: 'command', argv: ['./check.sh', 'an argument'] }
  return { dir, gate }
}

test('a command gate: exit 0 passes, 75 is no verdict, anything else fails, with its last words', async (t) => {
  for (const [text, expected] of [
    ['echo "all 3 checks passed"', /^pass within exit 0: all 3 checks passed$/],
    ['echo wait >&2; exit 75', /^inconclusive no-answer exit 75: wait$/],
    ['echo no; exit 1', /^fail beyond exit 1: no$/],
    ['kill -SEGV $$', /^fail beyond ended by SIGSEGV$/],
  ] as const) {
    const { gate, dir } = await script(t, text)
    const { verdict, reason, message } = await verdictOf(gate, dir)
    assert.match(`${verdict} ${reason} ${message}`, expected, text)
  }
  const missing: CommandGate = { ...common, kind: 'command', argv: ['./not-there.sh'] }
  const { verdict, message } = await verdictOf(missing, '/')
  assert.match(`${verdict} ${message}`, /^inconclusive SPAWN_FAILED cannot start \.\/not-there\.sh in \/ \(ENOENT\)/)
})

test('a command gate is told what it is about, runs beside the config, and its output is kept, the end of it', async (t) => {
  const { gate, dir } = await script(t, 'env | grep ^HOTCOLD_ | sort; echo "$SECRET" "$1"; pwd; seq 1 20000')
  const { verdict, output } = await verdictOf(gate, dir)
  assert.equal(verdict, 'pass')
  assert.ok(output.endsWith('19999\n20000\n'))
  assert.ok(output.length <= 64 * 1024)
  const short = await script(t, 'env | grep ^HOTCOLD_ | sort; echo "$SECRET" "$1"; pwd')
  const told = (await verdictOf(short.gate, short.dir)).output.trim().split('\n')
  assert.deepEqual(told, [
    'HOTCOLD_APP=web',
    'HOTCOLD_BUILD=b-build',
    'HOTCOLD_GATE=check',
    'HOTCOLD_NODES=node-0 node-1',
    'HOTCOLD_PREVIOUS=a-build',
    'HOTCOLD_RING=production',
    'HOTCOLD_ROLLOUT=r-now',
    'HOTCOLD_SHARE=100',
    'HOTCOLD_STAGE=1',
    'of the conductor an argument',
    short.dir,
  ])
})

/** Whether it runs: one that has ended and that nobody has reaped yet does not. */
const lives = (pid: number) => {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

test('a command gate that runs too long is no verdict, and nothing of its process group is left', async (t) => {
  const { gate, dir } = await script(t, 'sleep 600 & echo $! > pid; echo begun; wait', 400)
  const { verdict, reason, message } = await verdictOf(gate, dir)
  assert.equal(`${verdict} ${reason} ${message}`, 'inconclusive no-answer it ran longer than 400 ms: begun')
  const pid = Number(await readFile(join(dir, 'pid'), 'utf8'))
  assert.ok(pid > 1)
  await until('its child has ended', () => !lives(pid), 10_000)
})

test('a command gate that is called off, or leaves something behind, leaves nothing of its process group', async (t) => {
  const { gate, dir } = await script(t, 'sleep 600 & echo $! > pid; wait')
  const stop = new AbortController()
  const running = verdictOf(gate, dir, stop.signal)
  const pid = await until('it runs', async () => Number(await readFile(join(dir, 'pid'), 'utf8')) || null)
  stop.abort(new Error('the stage is over'))
  await assert.rejects(running, /the stage is over/)
  await until('its child has ended', () => !lives(pid), 10_000)

  const leaving = await script(t, 'sleep 600 & echo $! > pid')
  assert.equal((await verdictOf(leaving.gate, leaving.dir)).verdict, 'pass')
  const left = Number(await readFile(join(leaving.dir, 'pid'), 'utf8'))
  await until('what it left has ended', () => !lives(left), 10_000)
})

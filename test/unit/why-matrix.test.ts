// Owns the matrix of why: states of a rollout, a ring or a node, each with a primary reason, a next step and a command of its own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCommandLine } from '#conductor/cli/program.ts'
import type { Why } from '#conductor/core/case.ts'
import { NODE_REASONS } from '#conductor/core/node-reasons.ts'
import { RING_REASONS, ROLLOUT_REASONS } from '#conductor/core/reasons.ts'
import { SLOT_REASONS } from '#conductor/core/slot-reasons.ts'
import { whysOf } from '#conductor/core/why.ts'
import { ERRORS } from '#fleet/errors.ts'
import { filesMatching, readText } from '#test/support/source.ts'
import { NODE_STATES, RING_STATES } from '#test/support/why-ring-states.ts'
import { ROLLOUT_STATES } from '#test/support/why-rollout-states.ts'
import type { WhyState } from '#test/support/why-scenes.ts'

const STATES: readonly WhyState[] = [...ROLLOUT_STATES, ...RING_STATES, ...NODE_STATES]

function whyIn({ of, picture, nowMs }: WhyState): Why {
  const whys = whysOf(picture(), nowMs)
  const why = of === 'rollout' ? whys.rollout : of === 'ring' ? whys.rings[0] : whys.nodes[0]
  assert.ok(why !== undefined)
  return why
}

for (const state of STATES) {
  test(`why: ${state.of}: ${state.name}: ${state.code}`, () => {
    const why = whyIn(state)
    assert.equal(why.code, state.code, JSON.stringify(why))
    assert.match(why.command, state.types)
    for (const said of [why.next, why.when, why.command]) assert.doesNotMatch(said, /[{}]|undefined|NaN/)
    assert.ok(why.title !== '' && why.next !== '' && why.when !== '' && why.command !== '')
    assert.equal(why.waits, state.waits ?? true)
    if (state.evidence !== undefined) assert.match(why.evidence.join('; '), state.evidence)
    if (state.when !== undefined) assert.match(why.when, state.when)
  })
}

test('why: at least 25 states stand or wait, and no two of them share a code', () => {
  const waiting = STATES.filter(({ waits }) => waits ?? true).map(({ code }) => code)
  assert.ok(waiting.length >= 25, `${waiting.length}`)
  assert.deepEqual(
    waiting.filter((code, i) => waiting.indexOf(code) !== i),
    [],
  )
})

test('why: every code of the tables is the primary reason of a state of the matrix', () => {
  const met = new Set(STATES.map(({ code }) => code))
  const codes = [ROLLOUT_REASONS, RING_REASONS, NODE_REASONS].flatMap((table) => Object.keys(table))
  assert.deepEqual(
    codes.filter((code) => !met.has(code)),
    [],
  )
})

test('why: every code that plan can give as because, hold or cause is in the table', () => {
  const sources = filesMatching('conductor/core/*.ts', 'conductor/shell/*.ts').map(readText).join('\n')
  const because = [...sources.matchAll(/\bcode: '([a-z-]+)'/g), ...sources.matchAll(/rollBack\(\s*'([a-z-]+)'/g)]
  const codes = [...new Set(because.map(([, code = '']) => code))]
  assert.ok(codes.length >= 20, codes.join(', '))
  for (const code of ['soaking', 'cap-reached', 'gate-failed', 'progress-deadline', 'smoke-not-run']) {
    assert.ok(codes.includes(code), `${code} is found`)
  }
  // Of a ring's key and of a slot, which have tables of their own.
  const known = new Set([...Object.keys(ROLLOUT_REASONS), ...Object.keys(SLOT_REASONS), 'bare-order'])
  assert.deepEqual(
    codes.filter((code) => !known.has(code)),
    [],
  )
})

test('why: what to type names only verbs that there are, and codes of nodes are those of the error table', () => {
  const help: string[] = []
  parseCommandLine(['--help'], { writeOut: (text) => void help.push(text) })
  const verbs = [...help.join('').matchAll(/^ {2}([a-z]+) /gm)].map(([, verb]) => verb)
  const specs = [ROLLOUT_REASONS, RING_REASONS, NODE_REASONS, SLOT_REASONS].flatMap((table) => Object.values(table))
  const named = specs.flatMap(({ command }) => [...command.matchAll(/\bconduct ([a-z]+)/g)].map(([, verb]) => verb))
  assert.ok(named.length > 40)
  assert.deepEqual(
    named.filter((verb) => !verbs.includes(verb)),
    [],
  )
  const reported = NODE_STATES.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble]))
  assert.ok(reported.length > 10)
  assert.deepEqual(
    reported.filter((code) => !Object.hasOwn(ERRORS, code)),
    [],
  )
})

// Owns the proof of the legality table: every verb in every state does what its cell says, twice is once, and each refusal helps.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  judge,
  LEGALITY,
  ROLLOUT_STATES,
  type RolloutState,
  rolloutState,
  VERBS,
  type Verb,
} from '#conductor/core/legality.ts'
import { isOver, reduce } from '#conductor/core/reduce.ts'
import { decideVerb } from '#conductor/core/verbs.ts'
import { ERRORS } from '#fleet/errors.ts'
import { asideAfter, factsFor, rolloutIn, underWay, wishFor } from '#test/support/verb-scenes.ts'

/** Their own decisions are in `startRelease` and `startRollback`; here only what the table says of them. */
const DECIDED_ELSEWHERE: readonly Verb[] = ['release', 'rollback']
const carried = VERBS.filter((verb) => !DECIDED_ELSEWHERE.includes(verb)) as Exclude<Verb, 'release' | 'rollback'>[]
const cells = carried.flatMap((verb) => ROLLOUT_STATES.map((state) => ({ verb, state, cell: LEGALITY[verb][state] })))

test('each state of the table is one that a rollout can be in, and is told from its record', () => {
  const sim = underWay()
  for (const state of ROLLOUT_STATES) assert.equal(rolloutState(rolloutIn(state, sim)), state)
})

test('the whole table: each verb in each state is done, is a no-op, or is refused with the code of its cell', () => {
  const sim = underWay()
  assert.ok(cells.length >= 150)
  for (const { verb, state, cell } of cells) {
    const facts = factsFor(verb, rolloutIn(state, sim), sim)
    const decided = decideVerb(wishFor(verb, sim), facts)
    const expected = { allowed: 'do', already: 'already', refused: 'refuse' }[cell.kind]
    assert.equal(decided.kind, expected, `${verb} while ${state}: ${JSON.stringify(decided)}`)
    if (decided.kind === 'refuse' && cell.kind === 'refused')
      assert.equal(decided.code, cell.code, `${verb} while ${state}`)
    if (decided.kind !== 'do') continue
    assert.ok(decided.events.length + decided.aside.length > 0, `${verb} while ${state} writes something`)
    if (facts.rollout !== null) decided.events.reduce(reduce, facts.rollout)
  }
})

test('each verb is idempotent: what was done is done, and asking again writes nothing', () => {
  const sim = underWay()
  for (const { verb, state, cell } of cells) {
    if (cell.kind !== 'allowed') continue
    const facts = factsFor(verb, rolloutIn(state, sim), sim)
    const wish = wishFor(verb, sim)
    const first = decideVerb(wish, facts)
    assert.ok(first.kind === 'do')
    const rollout = facts.rollout === null ? null : first.events.reduce(reduce, facts.rollout)
    for (const event of first.events) if (event.type === 'ordered') sim.order = event.order.target
    const again = decideVerb(wish, { ...facts, fleet: sim.view(), rollout, aside: asideAfter(facts, first) })
    // A stage that was let pass is behind as soon as somebody acts on it; until then it is approved.
    assert.equal(again.kind, 'already', `${verb} twice while ${state}: ${JSON.stringify(again)}`)
    sim.order = underWay().order
  }
})

test('each refusal and each no-op says which rollout, the fact, and a command that there is', () => {
  const sim = underWay()
  for (const verb of VERBS) {
    for (const state of ROLLOUT_STATES) {
      const ruling = judge(verb, rolloutIn(state, sim))
      if (ruling.kind === 'allowed') continue
      assert.doesNotMatch(ruling.message, /[{}]|undefined|null/, `${verb} while ${state}: ${ruling.message}`)
      if (ruling.kind === 'already') continue
      assert.match(ruling.message, /.+: .*\bconduct [a-z]+/, `${verb} while ${state}: ${ruling.message}`)
      assert.ok(ruling.code in ERRORS)
    }
  }
})

test('nothing but an end ends a rollout, and no verb brings one back that is over', () => {
  const sim = underWay()
  for (const { verb, state } of cells) {
    const facts = factsFor(verb, rolloutIn(state as RolloutState, sim), sim)
    const decided = decideVerb(wishFor(verb, sim), facts)
    if (decided.kind !== 'do' || facts.rollout === null) continue
    if (isOver(facts.rollout)) assert.deepEqual(decided.events, [], `${verb} while ${state}`)
    else assert.equal(isOver(decided.events.reduce(reduce, facts.rollout)), verb === 'abort', `${verb} while ${state}`)
  }
})

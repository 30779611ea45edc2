// Owns the stories of a start: where the last puller died, and what this one does about it.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ALL } from '#fleet/target.ts'
import { decodeJournal, encodeJournal } from '#puller/core/journal.ts'
import { step } from '#puller/core/machine.ts'
import { comesByAgain, type Journal, journalOf, MAX_CRASHES, recover } from '#puller/core/recover.ts'
import { type Held, type NodeState, type Order, same } from '#puller/core/state.ts'
import type { Survey } from '#puller/core/trees.ts'
import { outcomesOf, surveysOf } from '#test/support/walk.ts'
import { held, order, PLACE, resting } from '#test/support/walk-worlds.ts'

const A = held('A')
const B = held('B')
const onB = order(3, 'B', 'A', PLACE + 1)

/** Follows the good outcomes until the node is in this phase with this job. */
function reach(from: NodeState, on: Order, phase: string, job: string): NodeState {
  let state = step(from, { type: 'ordered', order: on }).state
  for (let turn = 0; turn < 20; turn += 1) {
    if (state.phase === phase && state.job?.kind === job) return state
    const [event] = outcomesOf(state)
    assert.ok(event, `still on the way to ${phase}/${job}, and at rest in ${state.phase}`)
    state = step(state, event).state
  }
  throw new Error(`${phase}/${job} is never reached`)
}

/** Through the disk: what is written is what is read. */
function written(state: NodeState): Journal {
  const journal = decodeJournal(JSON.parse(JSON.stringify(encodeJournal(journalOf(state)))))
  assert.ok(journal)
  return journal
}

function revived(state: NodeState, at: 'before' | 'after' = 'before'): NodeState {
  const surveys = surveysOf(state)
  const survey = at === 'after' ? surveys.at(-1) : surveys[0]
  assert.ok(survey)
  return recover(survey, written(state), state.order).state
}

const running = resting(order(1, 'A', null, ALL, { rollout: 'r-0' }), 'A', 'B')

test('F15: a puller that dies while its node drains puts the node back into service first', () => {
  const found = revived(reach(running, onB, 'draining', 'drain'))
  assert.deepEqual([found.phase, found.job?.kind], ['draining', 'undrain'])
  const next = step(found, { type: 'undrained', n: found.job?.n ?? 0 }).state
  assert.deepEqual([next.phase, next.out], ['staged', false], 'and then asks for its turn again')
})

test('a puller that dies in the swap goes on from where the link points, before it and after', () => {
  const dying = reach(running, onB, 'swapping', 'swap')
  const before = revived(dying, 'before')
  assert.deepEqual([before.phase, before.job?.kind, before.hot], ['draining', 'undrain', A])
  const after = revived(dying, 'after')
  assert.deepEqual([after.phase, after.job?.kind, after.hot], ['restarting', 'afterSwap', B])
  assert.equal(after.verified, false, 'nothing vouches for the new build yet')
})

test('a puller that dies before its journal said that it left its rest comes by the same move again, and never from further on', () => {
  const atRest = written(running)
  const lost = [reach(running, onB, 'staged', 'turn'), reach(running, onB, 'draining', 'drain')]
  for (const state of lost) {
    assert.ok(comesByAgain(atRest, written(state)), `${state.phase} may be lost`)
    const [survey] = surveysOf(state)
    assert.ok(survey)
    const found = recover(survey, atRest, onB).state
    assert.deepEqual([found.phase, found.job?.kind, found.out, found.move], ['staged', 'turn', false, null])
  }
  const swapping = written(reach(running, onB, 'swapping', 'swap'))
  assert.equal(comesByAgain(atRest, swapping), false, 'what is about to be done is written first')
  assert.equal(comesByAgain(swapping, atRest), false, 'and what was done is not forgotten')
  const refused = { ...B, attempt: 1, code: 'VERIFY_FAILED', message: 'no' }
  assert.equal(comesByAgain(atRest, written({ ...running, refusals: [refused] })), false, 'nor is a refusal')
})

test('a puller that dies between an order and its journal is not held by a stand that the order ended', () => {
  const stand = {
    code: 'PARKED',
    message: 'by hand',
    manual: A,
    rollout: 'r-0',
    build: A.build,
    generation: 1,
    attempt: 1,
    activation: null,
  }
  const parked = revived({ ...running, order: onB, phase: 'parked', stand })
  assert.deepEqual([parked.phase, parked.job?.kind, parked.stand], ['staged', 'turn', null])
})

test('a puller that dies while a build proves itself runs hook and verify again, and one that had finished does not', () => {
  const unproven = revived(reach(running, onB, 'verifying', 'verify'))
  assert.deepEqual([unproven.phase, unproven.job?.kind], ['restarting', 'afterSwap'])
  const proven = revived(reach(running, onB, 'verifying', 'undrain'))
  assert.deepEqual([proven.phase, proven.job?.kind, proven.verified], ['verifying', 'undrain', true])
})

test('a puller that dies on the way back goes on going back, on whichever side of the swap', () => {
  const failing = reach(running, onB, 'verifying', 'verify')
  const n = failing.job?.n ?? 0
  const reverting = step(failing, { type: 'verifyFailed', n, code: 'VERIFY_FAILED', message: 'no' }).state
  const before = revived(reverting, 'before')
  assert.deepEqual([before.phase, before.job?.kind, before.hot], ['reverting', 'swap', B])
  const after = revived(reverting, 'after')
  assert.deepEqual([after.phase, after.job?.kind, after.hot], ['reverting', 'afterSwap', A])
  assert.equal(after.refusals[0]?.build, 'B', 'the refusal survives')
})

test('a parked node is still parked after a restart, and a refusal is still a refusal', () => {
  const refused = { ...B, attempt: 1, code: 'VERIFY_FAILED', message: 'no' }
  const calm = revived({ ...running, order: onB, refusals: [refused] })
  assert.deepEqual([calm.phase, calm.hot, calm.job], ['idle', A, null], 'it does not try B again')
  const again = { ...onB, target: { ...onB.target, attempt: 2 } }
  assert.deepEqual(revived({ ...running, order: again, refusals: [refused] }).refusals, [], 'a higher attempt ended it')
  const stand = {
    code: 'PARKED',
    message: 'by hand',
    manual: A,
    rollout: 'r-1',
    build: B.build,
    generation: 3,
    attempt: 1,
    activation: null,
  }
  const parked = revived({ ...running, order: onB, phase: 'parked', stand })
  assert.deepEqual([parked.phase, parked.job], ['parked', null])
})

test(`D6: a puller that dies ${MAX_CRASHES} times in one phase gives that order up and stays up`, (t: TestContext) => {
  const cases: readonly (readonly [phase: string, job: string])[] = [
    ['fetching', 'stage'],
    ['draining', 'drain'],
    ['restarting', 'afterSwap'],
    ['verifying', 'verify'],
  ]
  for (const [phase, job] of cases) {
    const bare: NodeState = phase === 'fetching' ? { ...running, cold: null } : running
    let state = reach(bare, onB, phase, job)
    for (let crash = 1; crash < MAX_CRASHES; crash += 1) {
      state = revived(state)
      assert.equal(state.refusals.length, 0, `${phase}: not yet after ${crash}`)
      for (let turn = 0; turn < 10 && !(state.phase === phase && state.job?.kind === job); turn += 1) {
        const [event] = outcomesOf(state)
        assert.ok(event)
        state = step(state, event).state
      }
      assert.equal(state.phase, phase, `${phase} is tried again`)
    }
    state = revived(state)
    t.diagnostic(`${phase}: ${state.refusals[0]?.code} ${state.phase}`)
    assert.equal(state.refusals[0]?.code, 'CRASH_LOOP', phase)
    for (let turn = 0; turn < 10 && state.job !== null; turn += 1) {
      const [event] = outcomesOf(state)
      assert.ok(event)
      state = step(state, event).state
    }
    assert.deepEqual(
      [state.phase, state.hot, state.out],
      ['idle', A, false],
      `${phase}: runs what ran before, in service`,
    )
  }
})

test('D6: deaths under another order do not count', () => {
  const dying = reach(running, onB, 'draining', 'drain')
  const crashes = { key: 'r-0/A/1', phases: { draining: MAX_CRASHES - 1 } }
  assert.equal(revived({ ...dying, crashes }).refusals.length, 0)
})

test('D12: without a journal the node is what its links and seals say, and is put back into service', () => {
  const survey = surveysOf(running)[0]
  assert.ok(survey)
  const found = recover(survey, null, onB).state
  assert.deepEqual([found.hot, same(found.cold, B), found.verified], [A, true, true])
  assert.deepEqual([found.phase, found.job?.kind], ['draining', 'undrain'])
})

function broken(cold: Held | null): Survey {
  const sealed = cold && { tree: 'b' as const, ...cold }
  return {
    hot: null,
    hotFault: { code: 'HOT_BROKEN', message: 'x' },
    hotTree: 'a',
    cold: sealed,
    coldTree: 'b',
    armed: true,
    unclean: true,
    sealed: { a: null, b: sealed },
  }
}

test('D2: a hot tree that is not sound is left for the fallback in cold', () => {
  const found = recover(broken(A), journalOf({ ...running, hot: B }), onB).state
  assert.deepEqual([found.phase, found.job?.kind, found.move?.kind], ['swapping', 'swap', 'recover'])
  const swapped = step(found, { type: 'swapped', n: found.job?.n ?? 0 }).state
  assert.deepEqual(
    [swapped.phase, swapped.hot],
    ['restarting', A],
    'and what serves now is made whole before anything else',
  )
})

test('D2: a hot tree that is not sound is never left for a build that this node may not run yet', () => {
  const staged = order(2, 'B', 'A', 0)
  const found = recover(broken(B), journalOf(running), staged).state
  assert.deepEqual([found.phase, found.job?.kind], ['fetching', 'stage'])
  assert.ok(found.job?.kind === 'stage' && same(found.job.held, A), 'it fetches what it may run')
})

test('D5: a journal of a newer puller is refused, not guessed at; one that makes no sense is told', () => {
  assert.throws(() => decodeJournal({ ...encodeJournal(journalOf(running)), v: 2 }), { code: 'JOURNAL_TOO_NEW' })
  for (const nonsense of [3, [], { v: 1 }, { ...encodeJournal(journalOf(running)), phase: 'asleep' }, { v: 'x' }]) {
    assert.throws(() => decodeJournal(nonsense), { code: 'JOURNAL_INVALID' })
  }
})

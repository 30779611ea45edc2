// Owns the proof of the pre-flight: which fact refuses under which name, what is only a note, and what can be gone past.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRelease } from '#conductor/core/beginning.ts'
import { lineageOf, sameCommit } from '#conductor/core/lineage.ts'
import { ALWAYS_OPEN, NO_SIGNALS, plan } from '#conductor/core/plan.ts'
import { FORCEABLE, obstacles, type PreflightFacts, preflight, unknownForce } from '#conductor/core/preflight.ts'
import type { RingView } from '#conductor/core/standing.ts'
import { supersede } from '#conductor/core/superseding.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import { fc } from '#test/support/properties.ts'
import { A, B, C, digestFor, RING, SimNode, Simulation, settledOn } from '#test/support/rollout-sim.ts'
import { entryOf, WISH } from '#test/support/wishes.ts'

const whole = { artifact: { bytes: 1_234_567 }, manifest: { bytes: 9 } }
const [first, second] = ['3f2a9c1', '9be01d2']

function ring(hot = B, nodes = 2): RingView {
  const each = Array.from({ length: nodes }, (_, i) => new SimNode(`n${i}`, settledOn(B, A), hot, A))
  const standing = { kind: 'record', target: settledOn(B, A) } as const
  return { ring: RING, standing, nodes: each.map((node) => ({ status: node.status(), silent: false })) }
}

const facts = (over: Partial<PreflightFacts> = {}): PreflightFacts => ({
  entry: entryOf(C),
  required: [],
  rings: [ring()],
  builds: [entryOf(C), entryOf(B), entryOf(A)],
  fallbacks: { [RING]: { build: B, manifest: digestFor(B) } },
  store: whole,
  ancestry: [],
  ...over,
})
const found = (over: Partial<PreflightFacts>, forced: readonly string[] = []) =>
  obstacles(preflight(facts(over)), forced).map(({ check, code }) => [check, code])
const verdict = (check: string, over: Partial<PreflightFacts>) =>
  preflight(facts(over)).find((finding) => finding.check === check)?.verdict

test('each check refuses by its own name and fact, and is gone past by that name alone', () => {
  assert.deepEqual(found({}), [])
  const bad = entryOf(C)
  const cases: readonly [string, string, Partial<PreflightFacts>][] = [
    ['qa', 'CHECK_NOT_PASSED', { required: ['qa'] }],
    ['qa', 'CHECK_NOT_PASSED', { required: ['qa'], entry: { ...bad, checks: { qa: 'failed', ci: 'passed' } } }],
    ['store', 'STORE_INCOMPLETE', { store: { ...whole, manifest: { bytes: null } } }],
    ['store', 'STORE_INCOMPLETE', { store: { ...whole, artifact: { bytes: 7 } } }],
    ['store', 'STORE_UNREACHABLE', { store: { ...whole, artifact: { code: 'STORE_UNREACHABLE', message: 'away' } } }],
    ['previous', 'PREVIOUS_UNKNOWN', { fallbacks: { [RING]: null }, builds: [entryOf(C)] }],
    ['lineage', 'LINEAGE_BROKEN', { entry: { ...bad, commit: second }, builds: [{ ...entryOf(B), commit: first }] }],
    ['roster', 'RING_EMPTY', { rings: [ring(B, 0)] }],
    ['quarantine', 'BUILD_QUARANTINED', { entry: { ...bad, quarantine: { by: 'ben', reason: 'x', at: '' } } }],
  ]
  for (const [name, code, over] of cases) {
    assert.deepEqual(found(over), [[name, code]])
    assert.deepEqual(found(over, [name]), [])
    assert.deepEqual(found(over, ['another']), [[name, code]])
  }
  assert.deepEqual(found({ required: ['qa', 'ci'], entry: { ...bad, checks: { ci: 'passed', qa: 'passed' } } }), [])
  assert.deepEqual(unknownForce(['qa', 'lineage', 'lineages', 'quarantine', 'roster'], ['qa']), [
    'lineages',
    'quarantine',
    'roster',
  ])
  assert.ok(FORCEABLE.includes('gates') && FORCEABLE.includes('windows'))
})

test('where there is nothing to look at it is a note, never a refusal: no store, no commits, a first deploy', () => {
  assert.equal(verdict('store', { store: null }), 'note')
  assert.equal(verdict('lineage', {}), 'note', 'neither has a commit')
  assert.equal(verdict('lineage', { entry: { ...entryOf(C), commit: second } }), 'note')
  assert.equal(verdict('lineage', { builds: [{ ...entryOf(B), commit: first }] }), 'note')
  assert.equal(verdict('lineage', { builds: [] }), 'note', 'what runs is not in the catalog')
  assert.equal(verdict('previous', { fallbacks: { [RING]: null } }), 'note')
})

test('lineage: the same commit, one named at publish, or one that a checkout vouches for; anything else is not believed', () => {
  const running: CatalogEntry = { ...entryOf(B), commit: first }
  const build: CatalogEntry = { ...entryOf(C), commit: second }
  const asked = (answer: 'ancestor' | 'not-ancestor' | 'unknown') => [
    { older: first, newer: second, answer, message: 'the checkout says so' },
  ]
  assert.equal(lineageOf(build, running, []).verdict, 'not')
  assert.equal(lineageOf({ ...build, commit: first }, running, []).verdict, 'contains')
  assert.equal(lineageOf({ ...build, contains: [`${first}e8d7`] }, running, []).verdict, 'contains')
  assert.equal(lineageOf({ ...build, commit: null, contains: [first] }, running, []).verdict, 'contains')
  assert.equal(lineageOf(build, running, asked('ancestor')).verdict, 'contains')
  assert.equal(lineageOf(build, running, asked('unknown')).verdict, 'not')
  const refused = lineageOf(build, running, asked('not-ancestor'))
  assert.deepEqual(refused, {
    verdict: 'not',
    message: 'c-build (9be01d2) is not known to contain 3f2a9c1 of b-build, which runs now: the checkout says so',
  })
  assert.equal(lineageOf(build, running, [{ ...asked('ancestor')[0], older: 'abcdef0' } as never]).verdict, 'not')
})

test('two texts name one commit when the shorter, seven digits or more, begins the longer', () => {
  const hex = fc.stringMatching(/^[0-9a-f]{40}$/)
  fc.assert(
    fc.property(hex, hex, fc.integer({ min: 1, max: 40 }), (a, b, length) => {
      assert.equal(sameCommit(a, a.slice(0, length).toUpperCase()), length >= 7)
      assert.equal(sameCommit(a, b), a === b)
    }),
  )
})

test('without a name the newest build that has passed what is required is taken, and never one from behind what runs', () => {
  const wish = { ...WISH, build: null, required: ['qa'] }
  const start = (checked: readonly string[], force: readonly string[] = []) => {
    const builds = [C, B, A].map((build) => ({
      ...entryOf(build),
      checks: checked.includes(build) ? { qa: 'passed' } : {},
    }))
    const begun = startRelease({ ...wish, force }, { rings: [ring()], rollout: null, builds })
    return begun.kind === 'begin'
      ? begun.beginning.build
      : begun.kind === 'already'
        ? `already ${begun.build}`
        : begun.kind
  }
  assert.equal(start([C, A]), C)
  assert.equal(start([A]), 'already b-build', 'not back to a-build, which is behind what runs')
  assert.equal(start([A], ['qa']), C)
})

test('an emergency goes past gates and windows, and past nothing else; without it both hold', () => {
  const sim = new Simulation({ nodes: 3, before: settledOn(B, A), hot: B, cold: A, build: C })
  const failing = { verdicts: [{ gate: 'errors', verdict: 'fail' as const, message: 'too many' }] }
  const closed = { open: false, because: null }
  const planned = (forced: readonly string[], signals = NO_SIGNALS, opening = ALWAYS_OPEN) =>
    plan({ ...sim.rollout, forced }, sim.view(), signals, opening, sim.now).action.type
  assert.equal(planned([]), 'order')
  assert.equal(planned([], failing), 'rollBack')
  assert.equal(planned(['gates'], failing), 'order')
  assert.equal(planned(['windows'], failing), 'rollBack')
  assert.equal(planned([], NO_SIGNALS, closed), 'wait')
  assert.equal(planned(['windows'], NO_SIGNALS, closed), 'order')
})

test('only another build than that of the open rollout takes its place, and only one that may be released', () => {
  const sim = new Simulation({ nodes: 3, before: settledOn(A, null), hot: A, cold: null, build: B })
  const builds = [entryOf(C), entryOf(B), entryOf(A)]
  const kind = (build: typeof A, rollout: typeof sim.rollout | null, over = builds) => {
    const found = supersede({ ...WISH, build }, { rings: [ring()], rollout, builds: over })
    return found.kind === 'refuse' ? found.code : found.kind
  }
  assert.equal(kind(C, sim.rollout), 'recall')
  assert.equal(kind(B, sim.rollout), 'ROLLOUT_OPEN')
  const recalling = { ...sim.rollout, phase: 'recalling' } as const
  assert.equal(kind(B, recalling), 'recall', 'what goes back already may come again')
  assert.equal(kind(C, null), 'free')
  assert.equal(kind(C, { ...sim.rollout, phase: 'done' }), 'free')
  const quarantine = { by: 'ben', reason: 'x', at: '' }
  assert.equal(kind(C, sim.rollout, [{ ...entryOf(C), quarantine }, entryOf(B)]), 'BUILD_QUARANTINED')
  assert.equal(kind(C, sim.rollout, []), 'BUILD_UNKNOWN')
})

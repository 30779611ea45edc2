// Owns the proof of what good means and who goes by it: the way back, retention, and what a build changes against another.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commitRange, compareEntries } from '#conductor/core/compare.ts'
import { goodBefore, goodIn } from '#conductor/core/good.ts'
import { pendingBuilds } from '#conductor/core/pending.ts'
import { PRUNING, planPrune, pruneDoubt } from '#conductor/core/prune.ts'
import { startRollback } from '#conductor/core/reversal.ts'
import type { RingView, Standing } from '#conductor/core/standing.ts'
import type { BuildId, Digest, Name } from '#fleet/build.ts'
import type { Entry } from '#fleet/manifest.ts'
import { comparePaths } from '#fleet/paths.ts'
import type { CatalogEntry } from '#fleet/ports.ts'
import { ALL, type Target } from '#fleet/target.ts'
import { fc } from '#test/support/properties.ts'
import { A, APP, B, C, digestFor, RING, SimNode, settledOn } from '#test/support/rollout-sim.ts'
import { entryOf } from '#test/support/wishes.ts'

const quarantine = { by: 'ben', reason: 'it eats carts', at: '' }
const good = (build: BuildId, at: string, over: Partial<CatalogEntry> = {}): CatalogEntry => ({
  ...entryOf(build),
  createdAt: `2026-11-22T16:0${at}:00Z`,
  good: { [RING]: at },
  ...over,
})
const z = 'z-build' as BuildId
const ref = (build: BuildId) => ({ build, manifest: digestFor(build) })
const record = (target: Target): Standing => ({ kind: 'record', target })

function ring(standing: Standing, hot: BuildId, cold: BuildId, nodes = 3): RingView {
  const each = Array.from({ length: nodes }, (_, i) => new SimNode(`n${i}`, settledOn(B, A), hot, cold))
  return { ring: RING, standing, nodes: each.map((node) => ({ status: { ...node.status(), at: 'x' }, silent: false })) }
}

test('a build is good where it proved itself and only while it is not under quarantine; before means before in time', () => {
  const builds = [good(C, '3'), good(B, '2', { quarantine }), good(A, '1'), entryOf(z)]
  assert.deepEqual(
    goodIn(builds, RING).map(({ build }) => build),
    [C, A],
  )
  assert.deepEqual(goodIn(builds, 'canary' as Name), [])
  assert.equal(goodBefore(builds, RING, ref(C))?.build, A, 'the one under quarantine is passed over')
  assert.equal(goodBefore(builds, RING, ref(B))?.build, A, 'and its own time still counts')
  assert.equal(goodBefore(builds, RING, ref(A)), null)
  assert.equal(goodBefore(builds, RING, ref(z))?.build, C, 'what never was good is newer than all that were')
})

test('a rollback passes over a fallback under quarantine, and is refused by name when nothing else is good', () => {
  const wish = { app: APP, by: 'ana', reason: '', id: 'r', at: '2026-11-22T16:05:30Z', previous: false }
  const back = (builds: readonly CatalogEntry[], standing = record(settledOn(C, B))) => {
    const start = startRollback(wish, { rings: [ring(standing, C, B)], rollout: null, builds })
    if (start.kind === 'reverse') return start.rollouts[0]?.fallbacks[RING]?.build
    return start.kind === 'refuse' ? start.code : start.kind
  }
  assert.equal(back([good(C, '3'), good(B, '2'), good(A, '1')]), B)
  assert.equal(back([good(C, '3'), good(B, '2', { quarantine }), good(A, '1')]), A)
  assert.equal(back([good(C, '3'), good(B, '2', { quarantine })]), 'BUILD_QUARANTINED')
  assert.equal(back([good(C, '3'), good(A, '1')], record(settledOn(C, null))), A, 'where the order names no way back')
  const half = record({ ...settledOn(C, B), cutoff: ALL / 2 })
  const banned = [good(C, '3'), good(B, '2', { quarantine }), good(A, '1')]
  assert.equal(back(banned, half), 'BUILD_QUARANTINED', 'never a third build into a ring that runs two')
})

test('whatever the world looks like, prune removes no build that is hot, cold, ordered, good, in a rollout, or among the newest', () => {
  const names = Array.from({ length: 8 }, (_, i) => `b${i}` as BuildId)
  const build = fc.constantFrom(...names)
  const entries = fc.tuple(...names.map(() => fc.record({ good: fc.boolean(), bad: fc.boolean(), half: fc.boolean() })))
  const world = fc.record({
    entries,
    hot: build,
    cold: build,
    ordered: build,
    fallback: build,
    keep: fc.integer({ min: 1, max: 4 }),
  })
  fc.assert(
    fc.property(world, ({ entries, hot, cold, ordered, fallback, keep }) => {
      const builds = names.map((name, i) => {
        const { good: proved = false, bad = false, half = false } = entries[i] ?? {}
        const reason = half ? PRUNING : 'failed'
        return {
          ...entryOf(name),
          good: proved ? { [RING]: `${9 - i}` } : {},
          quarantine: bad || half ? { ...quarantine, reason } : null,
        }
      })
      const rings = [ring(record(settledOn(ordered, fallback)), hot, cold)]
      const facts = { builds, rings, rollout: null, now: Date.parse('2030-01-01') }
      assert.equal(pruneDoubt(facts), null)
      const plan = planPrune({ keep, olderThanMs: null, keepGood: null }, facts)
      const gone = new Set<string>(plan.remove.map(({ build }) => build))
      for (const needed of [hot, cold, ordered, fallback]) assert.ok(!gone.has(needed))
      builds.forEach((entry, place) => {
        const isGood = entry.good[RING] !== undefined && entry.quarantine === null
        const half = entry.quarantine?.reason === PRUNING
        const needed = [hot, cold, ordered, fallback].includes(entry.build)
        assert.equal(gone.has(entry.build), !needed && !isGood && (place >= keep || half))
      })
      assert.deepEqual(new Set([...gone, ...plan.keep.map(({ build }) => build)]), new Set<string>(names))
      const young = planPrune({ keep, olderThanMs: 1e12, keepGood: 0 }, facts).remove
      assert.ok(
        young.every(({ quarantine }) => quarantine?.reason === PRUNING),
        'nothing is old enough',
      )
    }),
  )
})

test('what cannot be read might name any build, and so nothing is pruned', () => {
  const facts = { builds: [], rollout: null, now: 0 }
  const garbage: Standing = { kind: 'rejected', code: 'TARGET_INVALID', message: 'not JSON' }
  assert.equal(pruneDoubt({ ...facts, rings: [ring(garbage, B, A)] })?.code, 'TARGET_INVALID')
  const mute = ring(record(settledOn(B, A)), B, A)
  const unread = { ...mute, nodes: mute.nodes.map((node) => ({ ...node, status: { ...node.status, at: '' } })) }
  assert.match(
    pruneDoubt({ ...facts, rings: [unread] })?.message ?? '',
    /what n0 of production has on its disk is not known/,
  )
})

test('a comparison names each path once: alone in one, or in both and different; times are no difference', () => {
  const entry = fc.record({
    path: fc.constantFrom('a', 'a/b', 'b', 'c', 'd/e', 'f'),
    content: fc.constantFrom('1', '2'),
    mode: fc.constantFrom(0o644, 0o755),
    mtime: fc.nat(),
  })
  const tree = fc.uniqueArray(entry, { selector: ({ path }) => path }).map((list): readonly Entry[] =>
    list
      .map(
        ({ path, content, mode, mtime }): Entry => ({
          type: 'f',
          path,
          mode,
          mtime,
          size: 10,
          content: content as Digest,
          frame: 0,
          offset: 0,
        }),
      )
      .sort((x, y) => comparePaths(x.path, y.path)),
  )
  fc.assert(
    fc.property(tree, tree, (from, to) => {
      const { changes, counts, toBytes } = compareEntries(from, to)
      const find = (list: readonly Entry[], path: string) => list.find((one) => one.path === path)
      for (const path of new Set([...from, ...to].map((one) => one.path))) {
        const [old, now] = [find(from, path), find(to, path)]
        const differs = old?.content !== now?.content || old?.mode !== now?.mode
        const kind = old === undefined ? 'added' : now === undefined ? 'removed' : 'changed'
        assert.deepEqual(
          changes.filter((one) => one.path === path).map((one) => one.kind),
          differs ? [kind] : [],
        )
      }
      assert.equal(counts.added + counts.removed + counts.changed, changes.length)
      const travels = to.filter((now) => find(from, now.path)?.content !== now.content).length
      assert.equal(toBytes, travels * 10)
    }),
  )
})

test('the link to the commits needs both, and carries nothing that a URL would take for more', () => {
  const [from, to] = [
    { ...entryOf(A), commit: 'main/x?y' },
    { ...entryOf(B), commit: '9be01d2' },
  ]
  const template = 'https://git.example.com/{{from}}...{{to}}'
  assert.equal(commitRange(from, to, template).link, 'https://git.example.com/main%2Fx%3Fy...9be01d2')
  assert.equal(commitRange(from, { ...to, commit: null }, template).link, null)
  assert.equal(commitRange(from, to, null).link, null)
})

test('pending is what is newer than what runs; where what runs is unknown, everything', () => {
  const builds = [entryOf(C), good(B, '2'), good(A, '1')]
  const names = (build: string | null) =>
    pendingBuilds(builds, { ring: RING, build }, () => []).map(({ entry, wasThere }) => [entry.build, wasThere])
  assert.deepEqual(names(A), [
    [C, false],
    [B, true],
  ])
  assert.deepEqual(names(C), [])
  assert.equal(names(null).length, 3)
  assert.equal(names('gone').length, 3)
})

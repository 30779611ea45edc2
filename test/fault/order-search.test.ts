// Owns the proof by search: whatever is written, and however late, twice or out of order it arrives, no node runs what no order named for it.
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { ALL, admit, targetOfBare, wants } from '#fleet/target.ts'
import type { NodeState } from '#puller/core/state.ts'
import { MACHINE_NODE, type Ordered } from '#test/support/order-node.ts'
import { type Rules, searchOrders, searchWith } from '#test/support/order-search.ts'

const PRODUCTION: Rules = { wants, admit, targetOfBare }

const SMALL = { writes: 3, byHand: 2, breadth: 'wide' } as const

/** Name, bounds, and how many states it must see: fewer, and the search has lost its world. */
const SEARCHES = [
  [
    'any order of stages, raises, recalls, retries and closing records',
    { writes: 4, byHand: 0, breadth: 'wide' },
    130_000,
  ],
  ['longer histories of the same', { writes: 5, byHand: 0, breadth: 'narrow' }, 170_000],
  ['A4 A7 A24: bare ids, old records put back and a Consul that was rebuilt', SMALL, 360_000],
  ['a bare id at any time of a rollout', { writes: 4, byHand: 1, breadth: 'narrow' }, 500_000],
] as const

for (const [name, bounds, states] of SEARCHES) {
  test(`M10: no node starts, stages or rests on a build that no accepted order named for it, under ${name}`, (t: TestContext) => {
    const found = searchOrders(PRODUCTION, bounds)
    t.diagnostic(JSON.stringify(found))
    assert.deepEqual(found.broken, [])
    assert.ok(found.states >= states && found.swaps * 10 >= states, `${found.states} states, ${found.swaps} swaps`)
  })
}

const MACHINE_SEARCHES = [
  ['orders', { writes: 4, byHand: 0, breadth: 'narrow' }, 100_000],
  ['bare ids', { writes: 2, byHand: 2, breadth: 'wide' }, 45_000],
] as const

for (const [name, bounds, states] of MACHINE_SEARCHES) {
  test(`M10: nor does the machine of the puller, whatever fails on its way and wherever it dies, under any history of ${name}`, (t: TestContext) => {
    const found = searchWith(MACHINE_NODE, PRODUCTION, bounds)
    t.diagnostic(JSON.stringify(found))
    assert.deepEqual(found.broken, [])
    assert.ok(found.states >= states && found.swaps * 50 >= states, `${found.states} states, ${found.swaps} swaps`)
  })
}

/** Bugs that someone could write, each as the production rules with one of them changed. */
const MUTANTS: Readonly<Record<string, Partial<Rules>>> = {
  'the cutoff itself counts as below it': {
    wants: (target, at, hot) => wants({ ...target, cutoff: Math.min(ALL, target.cutoff + 1) }, at, hot),
  },
  'the cutoff is ignored': { wants: (target, at, hot) => wants({ ...target, cutoff: ALL }, at, hot) },
  'nobody is ever below the cutoff': { wants: (target, at, hot) => wants({ ...target, cutoff: 0 }, at, hot) },
  'a recall is read as a raise': { wants: (target, at, hot) => wants({ ...target, recall: false }, at, hot) },
  'in a recall, below the cutoff means run it': {
    wants: (target, at, hot) =>
      target.recall && at < target.cutoff ? { hot: target.build, cold: null } : wants(target, at, hot),
  },
  'in a recall, whoever runs the build may stay': {
    wants: (target, at, hot) => (target.recall && hot === target.build ? { hot, cold: null } : wants(target, at, hot)),
  },
  'a recall stages the build': {
    wants: (target, at, hot) =>
      target.recall ? { ...wants(target, at, hot), cold: target.build } : wants(target, at, hot),
  },
  'hot and cold change places': {
    wants: (target, at, hot) => {
      const want = wants(target, at, hot)
      return { hot: want.cold, cold: want.hot }
    },
  },
  'above the cutoff without a fallback, the build is run': {
    wants: (target, at, hot) =>
      target.fallback === null && !target.recall ? { hot: target.build, cold: null } : wants(target, at, hot),
  },
  'a node without hot takes the build, wherever its place is': {
    wants: (target, at, hot) => (hot === null ? { hot: target.build, cold: target.fallback } : wants(target, at, hot)),
  },
  'the generation is not looked at': {
    admit: (ratchet, mark) =>
      mark.kind === 'record'
        ? { verdict: 'accept', ratchet: { generation: mark.generation, modifyIndex: mark.modifyIndex } }
        : admit(ratchet, mark),
  },
  'an equal generation is accepted': {
    admit: (ratchet, mark) =>
      mark.kind === 'record' && mark.generation === ratchet.generation && mark.modifyIndex !== ratchet.modifyIndex
        ? { verdict: 'accept', ratchet: { generation: mark.generation, modifyIndex: mark.modifyIndex } }
        : admit(ratchet, mark),
  },
  'only the generation counts: a stale record from before a bare id replaces it': {
    admit: (ratchet, mark) => admit(ratchet, mark.kind === 'record' ? { ...mark, stale: false } : mark),
  },
  'a bare id out of a stale read is believed': {
    admit: (ratchet, mark) => admit(ratchet, mark.kind === 'bare' ? { ...mark, stale: false } : mark),
  },
  'a bare id is always newer': {
    admit: (ratchet, mark) =>
      mark.kind === 'bare' && mark.generation === null && mark.modifyIndex !== ratchet.modifyIndex
        ? { verdict: 'accept', ratchet: { generation: ratchet.generation, modifyIndex: mark.modifyIndex } }
        : admit(ratchet, mark),
  },
  'a bare id begins the generations anew': {
    admit: (ratchet, mark) => {
      const admission = admit(ratchet, mark)
      if (admission.verdict !== 'accept' || mark.kind === 'record') return admission
      return { verdict: 'accept', ratchet: { ...admission.ratchet, generation: 0 } }
    },
  },
  'bare ids are refused': {
    admit: (ratchet, mark) => (mark.kind === 'bare' ? { verdict: 'regressed' } : admit(ratchet, mark)),
  },
  'the generation of a bare id is not read': {
    admit: (ratchet, mark) => admit(ratchet, mark.kind === 'bare' ? { ...mark, generation: null } : mark),
  },
  'a bare id reaches only half of the nodes': {
    targetOfBare: (bare, context) => ({ ...targetOfBare(bare, context), cutoff: ALL / 2 }),
  },
  'a bare id is read as a recall': {
    targetOfBare: (bare, context) => ({ ...targetOfBare(bare, context), recall: true, cutoff: 0 }),
  },
}

for (const [bug, change] of Object.entries(MUTANTS)) {
  test(`the search notices when ${bug}`, (t: TestContext) => {
    const { broken } = searchOrders({ ...PRODUCTION, ...change }, SMALL)
    t.diagnostic(broken[0] ?? 'nothing found')
    assert.ok(broken.length > 0)
  })
}

/** The same for the machine: what it would do if it understood an order otherwise. */
const DEAF: Readonly<Record<string, (order: Ordered) => Ordered>> = {
  'it takes a recall for a raise': (order) => ({ ...order, target: { ...order.target, recall: false } }),
  'it stands at another place': (order) => ({ ...order, place: 0 }),
  'it never hears of a raise': (order) => ({ ...order, target: { ...order.target, cutoff: 0 } }),
}

for (const [bug, mishear] of Object.entries(DEAF)) {
  test(`the search of the machine notices when ${bug}`, (t: TestContext) => {
    const deaf = { ...MACHINE_NODE, obey: (node: NodeState, order: Ordered) => MACHINE_NODE.obey(node, mishear(order)) }
    const { broken } = searchWith(deaf, PRODUCTION, SMALL)
    t.diagnostic(broken[0]?.slice(0, 300) ?? 'nothing found')
    assert.ok(broken.length > 0)
  })
}

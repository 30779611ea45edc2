// Owns the states of a rollout that `conduct why` must tell apart.
import { ORPHAN, PAUSED } from '#conductor/core/legality.ts'
import type { Because, Hold, Rollout } from '#fleet/rollout.ts'
import type { Simulation } from './rollout-sim.ts'
import {
  allRunIt,
  BEGUN,
  ENDED,
  ISO,
  line,
  NOW,
  pictured,
  recalledTo,
  say,
  state,
  turnedBack,
  type WhyState,
} from './why-scenes.ts'

/** What plan says of more than one ring, or of the calendar, as the picture carries it. */
function said(name: string, because: Because, types: RegExp): WhyState {
  const picture = () => {
    const seen = pictured({})
    return { ...seen, rollout: seen.rollout && { ...seen.rollout, because: [because] } }
  }
  return { of: 'rollout', name, code: because.code, types, nowMs: NOW, picture, evidence: new RegExp(because.message) }
}

const held =
  (code: string, by = 'ben') =>
  (rollout: Rollout): Rollout => {
    const hold: Hold = { by, code, reason: 'graphs look odd', at: ISO }
    return { ...rollout, hold }
  }

const over = (phase: Rollout['phase'], more: Partial<Rollout> = {}) => {
  return (rollout: Rollout): Rollout => ({ ...rollout, phase, endedAt: ISO, outcome: 'as told', ...more })
}

const inPhase =
  (...phases: readonly Rollout['phase'][]) =>
  (sim: Simulation) =>
    phases.includes(sim.rollout.phase)

function soaking(rollout: Rollout): Rollout {
  return {
    ...rollout,
    phase: 'soaking',
    endedAt: null,
    outcome: null,
    progress: { begunAt: ISO, movedAt: ISO, convergedAt: ISO, smoke: null },
  }
}

function silence(sim: Simulation, index: number): void {
  const node = sim.nodes[index]
  if (node !== undefined) node.silent = true
  sim.rollout = { ...sim.rollout, endedAt: null, outcome: null, phase: sim.order.cutoff > 0 ? 'advancing' : 'staging' }
}

export const ROLLOUT_STATES: readonly WhyState[] = [
  state(
    'rollout',
    'nothing was released',
    'never-released',
    /^conduct release$/,
    { rollout: () => null },
    { waits: false },
  ),
  state('rollout', 'it is done', 'done', /^conduct pending$/, { until: ENDED }, { waits: false }),
  state(
    'rollout',
    'its first order is about to be written',
    'going-on',
    /^conduct watch$/,
    { until: () => true },
    { waits: false },
  ),
  state(
    'rollout',
    'an operator paused it',
    'paused',
    /^conduct resume$/,
    { rollout: held(PAUSED) },
    { evidence: /held by ben .*graphs/ },
  ),
  state('rollout', 'on hold for an order by hand', 'orphan-write', /^conduct release c-build --adopt$/, {
    rollout: held(ORPHAN),
  }),
  state('rollout', 'past its progress deadline', 'progress-deadline', /^conduct resume$/, {
    rollout: held('progress-deadline'),
  }),
  state('rollout', 'its smoke test cannot be started', 'smoke-not-run', /^conduct resume$/, {
    rollout: held('smoke-not-run'),
  }),
  state('rollout', 'on hold by a program of later', 'hold', /^conduct resume$/, { rollout: held('something-new') }),
  state(
    'rollout',
    'the line is stopped until noon',
    'line-held',
    /^conduct unhold$/,
    { line: [line(null, '2026-11-22T12:00:00Z')] },
    { when: /at 2026-11-22T12/, evidence: /database upgrade/ },
  ),
  state('rollout', 'nobody drives it', 'no-driver', /^conduct release c-build$/, { driven: false }),
  state('rollout', 'nobody drives its way back', 'no-driver-back', /^conduct rollback$/, {
    driven: false,
    until: allRunIt,
    rollout: turnedBack('operator'),
  }),
  state('rollout', 'its ring is empty', 'ring-empty', /^puller run, on a node of production$/, {
    change: (sim) => void sim.nodes.splice(0),
  }),
  state('rollout', 'nodes stage', 'nodes-staging', /^conduct why NODE$/, {}),
  state('rollout', 'nodes swap', 'nodes-working', /^conduct watch$/, {
    policy: { maxUnavailable: 100 },
    until: (sim) => BEGUN(sim) && sim.order.cutoff > 0,
  }),
  state(
    'rollout',
    'one node is silent',
    'nodes-silent',
    /^conduct waive node-0 --reason WHY$/,
    { stages: [{ share: 100, progressSeconds: 900 }], until: allRunIt, change: (sim) => silence(sim, 0) },
    { when: /on hold otherwise, in 1\d min/ },
  ),
  state('rollout', 'one node keeps the barrier down', 'barrier', /^conduct waive node-0 --reason WHY$/, {
    nodes: 1,
    stages: [{ share: 100, barrier: true }],
    change: (sim) => silence(sim, 0),
  }),
  state('rollout', 'as many are out as may be', 'cap-reached', /^conduct status --nodes$/, {
    until: (sim) => sim.nodes.some(({ said }) => said.phase === 'verifying'),
  }),
  state('rollout', 'a node obeys an order that is forgotten', 'node-ahead', /^conduct history$/, {
    change: (sim) => say(sim, 0, { generation: 900 }),
    standing: (target) => ({ kind: 'record', target }),
  }),
  state('rollout', 'its smoke test runs', 'smoke-running', /^conduct pause$/, {
    stages: [{ share: 100, smoke: ['true'] }],
    until: allRunIt,
    rollout: (rollout) => soaking(rollout),
  }),
  state(
    'rollout',
    'it soaks',
    'soaking',
    /^conduct watch$/,
    { stages: [{ share: 100, soakSeconds: 60 }], until: inPhase('soaking') },
    { when: /^in (1 min 0 s|\d+\.\d s) \(/ },
  ),
  state(
    'rollout',
    'a gate gave no verdict',
    'gate-inconclusive',
    /^conduct rollback$/,
    { stages: [{ share: 100, gates: ['errors'] }], until: inPhase('waiting') },
    { evidence: /errors: it has given no verdict yet/ },
  ),
  state('rollout', 'it waits for approval', 'approval', /^conduct promote$/, {
    stages: [{ share: 50, approval: 'manual' }, { share: 100 }],
    until: inPhase('waiting'),
  }),
  state('rollout', 'its failure budget is spent', 'failures-over-budget', /^conduct status --nodes$/, {
    until: allRunIt,
    rollout: turnedBack('failures-over-budget'),
  }),
  state('rollout', 'another build answers', 'identity-mismatch', /^conduct why NODE$/, {
    until: allRunIt,
    rollout: turnedBack('identity-mismatch'),
  }),
  state('rollout', 'a gate failed', 'gate-failed', /^conduct gate backtest GATE$/, {
    until: allRunIt,
    rollout: turnedBack('gate-failed'),
  }),
  state('rollout', 'its smoke test failed', 'smoke-failed', /^conduct diff c-build$/, {
    until: allRunIt,
    rollout: turnedBack('smoke-failed'),
  }),
  state(
    'rollout',
    'its budget was spent, and all is back',
    'failures-over-budget',
    /^conduct status --nodes$/,
    { healthy: false, until: ENDED },
    { waits: false },
  ),
  state('rollout', 'its first wave back is about to be ordered', 'recalling', /^conduct watch$/, {
    until: allRunIt,
    rollout: turnedBack('operator'),
  }),
  state('rollout', 'a wave comes back', 'wave-returning', /^conduct rollback --now$/, { until: recalledTo('recall') }),
  state('rollout', 'the last come back', 'nodes-returning', /^conduct status --nodes$/, { until: recalledTo('close') }),
  state(
    'rollout',
    'it was rolled back',
    'rolled-back',
    /^conduct release$/,
    { rollout: over('rolledBack', { cause: 'operator' }) },
    { waits: false },
  ),
  state(
    'rollout',
    'aborted between two builds',
    'aborted',
    /^conduct release c-build$/,
    { rollout: over('aborted') },
    { waits: false },
  ),
  state(
    'rollout',
    'aborted with nothing between',
    'called-off',
    /^conduct release$/,
    { until: () => true, rollout: over('aborted') },
    { waits: false },
  ),
  said('it is outside deploy hours', { code: 'closed', message: 'outside deploy hours' }, /^conduct plan$/),
  said(
    'the next ring is staged',
    { code: 'prestaging', message: 'canary brings c-build into cold' },
    /^conduct watch$/,
  ),
]

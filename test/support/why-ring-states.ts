// Owns the states of a ring and of a node that `conduct why` must tell apart.
import type { Standing } from '#conductor/core/standing.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { Rollout, Stage } from '#fleet/rollout.ts'
import type { Target } from '#fleet/target.ts'
import { A, B, C, RING, type Simulation, settledOn } from './rollout-sim.ts'
import { BEGUN, done, ISO, line, recalledTo, type Scene, say, silent, state, type WhyState } from './why-scenes.ts'

const rejected = (): Standing => ({
  kind: 'rejected',
  code: 'TARGET_INVALID',
  message: 'the target record is not JSON',
})

const byHand = (target: Target): Standing => ({
  kind: 'record',
  target: { ...target, rollout: 'script', generation: 900 },
})
const earlier = (target: Target): Standing => ({ kind: 'record', target: { ...target, generation: 1 } })
const bare = (target: Target): Standing => ({
  kind: 'bare',
  bare: { build: A, generation: null },
  target: { ...target, build: A },
})
const elsewhere = (rollout: Rollout): Rollout => {
  const stages = [{ ring: 'canary', share: 100 } as Stage, ...rollout.stages]
  return { ...rollout, stages, fallbacks: { ...rollout.fallbacks, canary: null } }
}

function forgetGenerations(sim: Simulation): void {
  for (const [index] of sim.nodes.entries()) say(sim, index, { generation: 0 })
}

export const RING_STATES: readonly WhyState[] = [
  state('ring', 'it runs what it should', 'ring-settled', /^conduct status --ring production$/, done, { waits: false }),
  state(
    'ring',
    'nothing was released to it',
    'ring-created',
    /^conduct release --ring production$/,
    {
      rollout: () => null,
      standing: () => ({ kind: 'record', target: settledOn(null, null, 0) }),
      change: (sim) => forgetGenerations(sim),
    },
    { waits: false },
  ),
  state('ring', 'it has no key', 'ring-unknown', /^conduct init --ring production$/, {
    rollout: () => null,
    standing: () => ({ kind: 'gone' }),
  }),
  state('ring', 'its key is gone', 'ring-key-gone', /^conduct rollback$/, {
    ...done,
    standing: () => ({ kind: 'gone' }),
  }),
  state(
    'ring',
    'its key is unreadable',
    'ring-key-unreadable',
    /^conduct rollback --ring production$/,
    { ...done, standing: rejected },
    { evidence: /not JSON/ },
  ),
  state('ring', 'its key is of before', 'ring-key-older', /^conduct audit verify$/, { ...done, standing: earlier }),
  state('ring', 'a bare id stands in its key', 'ring-bare-order', /^conduct rollback --ring production$/, {
    ...done,
    standing: bare,
  }),
  state('ring', 'a script wrote its key', 'ring-orphan-write', /^conduct history --ring production$/, {
    ...done,
    standing: byHand,
  }),
  state(
    'ring',
    'its line is stopped',
    'ring-held',
    /^conduct unhold --ring production$/,
    { ...done, line: [line(RING)] },
    { evidence: /stopped by ben .*database/ },
  ),
  state('ring', 'it has no nodes', 'ring-no-nodes', /^puller run, on a node of production$/, {
    ...done,
    change: (sim) => void sim.nodes.splice(0),
  }),
  state('ring', 'the rollout stands at it', 'ring-in-hand', /^conduct why$/, {}),
  state('ring', 'its turn comes later', 'ring-next', /^conduct plan$/, { until: () => true, rollout: elsewhere }),
  state('ring', 'it is taken back', 'ring-returning', /^conduct watch --ring production$/, {
    until: recalledTo('recall'),
  }),
  state('ring', 'a node refuses its order', 'ring-nodes-failed', /^conduct release c-build --retry$/, {
    ...done,
    change: (sim) => say(sim, 0, { phase: 'parked' }),
  }),
  state('ring', 'a node is silent', 'ring-nodes-silent', /^conduct forget node-0 --reason WHY$/, {
    ...done,
    change: (sim) => silent(sim),
  }),
  state('ring', 'a node still works', 'ring-nodes-working', /^conduct watch --ring production --nodes$/, {
    ...done,
    change: (sim) => say(sim, 0, { phase: 'fetching' }),
  }),
]

const saying = (more: Partial<NodeStatus>): Scene => ({ ...done, change: (sim) => say(sim, 0, more) })

/** A node that reports a trouble, while it is on its way. */
function troubled(name: string, code: string, trouble: keyof typeof WORDS | string, types: RegExp): WhyState {
  const troubles = [{ code: trouble, message: WORDS[trouble] ?? 'as told' }]
  const scene = saying({ phase: 'idle', hot: B, troubles })
  return state('node', name, code, types, scene, { trouble, evidence: new RegExp(`${trouble}: `) })
}

const WORDS: Readonly<Record<string, string>> = {
  DISK_FULL: 'needs 3.1 GiB, 1.2 GiB are free',
  COLD_BUSY: 'pid 4711 has its working directory there',
  PINNED: 'pinned by ben: looking into it',
}

function refusing(name: string, code: string, trouble: string, types: RegExp): WhyState {
  const refusal = { build: C, code: trouble, message: 'as told' }
  return state('node', name, code, types, saying({ hot: B, refusal }), { trouble, evidence: /refuses c-build/ })
}

const phase = (name: string, code: string, types: RegExp, more: Partial<NodeStatus>): WhyState =>
  state('node', name, code, types, saying({ hot: B, cold: null, ...more }))

export const NODE_STATES: readonly WhyState[] = [
  state('node', 'it runs what it should', 'node-settled', /^conduct status --nodes$/, done, { waits: false }),
  state(
    'node',
    'nothing is ordered',
    'node-unordered',
    /^conduct release$/,
    { rollout: () => null, standing: () => ({ kind: 'record', target: settledOn(null, null, 0) }) },
    { waits: false },
  ),
  state('node', 'its session is gone', 'node-silent', /conduct waive node-0 --reason WHY/, { ...done, change: silent }),
  state('node', 'its status is garbage', 'node-unreadable', /^puller status, on node-0$/, {
    ...done,
    change: (sim) => {
      silent(sim)
      say(sim, 0, { at: '', generation: -1, troubles: [{ code: 'RECORD_INVALID', message: 'not JSON' }] })
    },
  }),
  state(
    'node',
    'it was waived',
    'node-waived',
    /^conduct forget node-0/,
    {
      until: BEGUN,
      change: silent,
      rollout: (rollout) => ({
        ...rollout,
        waivers: [{ node: 'node-0', by: 'ben', reason: 'disk is dead', at: ISO } as never],
      }),
    },
    { evidence: /waived by ben: disk is dead/ },
  ),
  troubled('it is pinned', 'node-pinned', 'PINNED', /^conduct unpin node-0$/),
  phase('it is parked', 'node-parked', /^conduct retry node-0$/, { phase: 'parked' }),
  refusing('it did not become healthy', 'node-refuses', 'VERIFY_FAILED', /^conduct retry node-0$/),
  refusing('another build answers', 'node-impostor', 'IDENTITY_MISMATCH', /second process/),
  refusing('it did not drain', 'node-drain-failed', 'DRAIN_TIMEOUT', /^conduct retry node-0, when its traffic/),
  refusing(
    'its hook failed',
    'node-hook-failed',
    'HOOK_FAILED',
    /^puller check-config, on node-0; then conduct retry node-0$/,
  ),
  troubled('its disk is full', 'node-disk-full', 'DISK_FULL', /^df -h, on node-0/),
  troubled('its disk is read-only', 'node-disk-fault', 'DISK_READ_ONLY', /^puller check-config, on node-0$/),
  troubled('its cold tree is in use', 'node-cold-busy', 'COLD_BUSY', /^fuser/),
  troubled('its cold tree is fresh', 'node-cold-quiet', 'COLD_QUIET', /^conduct watch --nodes$/),
  troubled(
    'its assets hook failed',
    'node-assets-failed',
    'ASSETS_FAILED',
    /^puller status, on node-0: the last words/,
  ),
  troubled('the store does not answer', 'node-store-away', 'STORE_UNREACHABLE', /^curl the store, from node-0$/),
  troubled('the store refuses it', 'node-store-denied', 'STORE_DENIED', /credentials/),
  troubled('bytes do not match', 'node-build-corrupt', 'DIGEST_MISMATCH', /^conduct quarantine c-build --reason WHY$/),
  troubled('Consul does not answer it', 'node-consul-away', 'CONSUL_UNREACHABLE', /^consul members, on node-0$/),
  troubled('two pullers have its name', 'node-duplicate', 'DUPLICATE_NODE', /^another node name/),
  troubled('it rejects the order', 'node-target-rejected', 'TARGET_REGRESSED', /^conduct rollback --ring production$/),
  troubled('its files were changed', 'node-drifted', 'DRIFT', /^conduct release c-build --restart$/),
  troubled(
    'its puller died three times',
    'node-crashed',
    'CRASH_LOOP',
    /^puller status, on node-0; then conduct retry node-0$/,
  ),
  troubled('something else is wrong', 'node-trouble', 'SWAP_FAILED', /^puller status, on node-0$/),
  phase('it fetches', 'node-fetching', /^conduct watch --nodes$/, {
    phase: 'fetching',
    progress: { doneBytes: 5, totalBytes: 10 },
  }),
  phase('it waits for its turn', 'node-staged', /^conduct plan --nodes$/, { phase: 'staged', cold: C }),
  phase('it drains', 'node-draining', /^conduct watch --nodes$/, { phase: 'draining' }),
  phase('it swaps', 'node-swapping', /^conduct watch --nodes$/, { phase: 'swapping' }),
  phase('it runs hooks', 'node-restarting', /^puller status, on node-0$/, { phase: 'restarting' }),
  phase('it verifies', 'node-verifying', /^conduct watch --nodes$/, { phase: 'verifying' }),
  phase('it goes back', 'node-reverting', /^conduct why node-0/, { phase: 'reverting' }),
  phase('it has not heard', 'node-behind', /^puller status, on node-0$/, { phase: 'idle' }),
]

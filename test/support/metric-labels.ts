// Owns what each label of a metric may say: the few values it has, or by what they are bounded.

import { SLOT_LABELS, SLOT_OUTCOMES } from '#conductor/core/metric-table.ts'
import { ROLLOUT_REASONS } from '#conductor/core/reasons.ts'
import { ERRORS } from '#fleet/errors.ts'
import { PHASES } from '#fleet/node-status.ts'
import { ROLLOUT_PHASES, TERMINAL_PHASES } from '#fleet/rollout.ts'
import { NODE_STATES } from '#fleet/roster.ts'
import { MOVE_OUTCOMES } from '#puller/core/moves.ts'

export interface LabelValues {
  /** For people. */
  readonly says: string
  readonly isOne: (value: string) => boolean
}

const listed = (values: readonly string[]): LabelValues => ({
  says: values.map((value) => `\`${value}\``).join(' '),
  isOne: (value) => values.includes(value),
})
const named = (says: string, shape: RegExp): LabelValues => ({ says, isOne: (value) => shape.test(value) })

const NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/
const BUILD = /^([A-Za-z0-9][A-Za-z0-9._-]{0,127})?$/
const CODES = [...Object.keys(ERRORS), 'bare-order']
const REQUEST_OUTCOMES: LabelValues = {
  says: '`ok` `cancelled` `error`, or a code of `fleet/errors.ts`',
  isOne: (value) => ['ok', 'cancelled', 'error', ...CODES].includes(value),
}
const STORE_KINDS = listed(['find', 'read', 'create', 'list', 'remove'])
const CONSUL_KINDS = named('first word of what was asked: a few verbs of our Consul client', /^[a-z-]+$/)

/** By the name of the label. */
const COMMON: Readonly<Record<string, LabelValues>> = {
  app: named('the app', NAME),
  ring: named('a ring of the plan', NAME),
  state: listed(NODE_STATES),
  phase: listed(PHASES),
  code: { says: 'a code of `fleet/errors.ts`, or `bare-order`', isOne: (value) => CODES.includes(value) },
  outcome: REQUEST_OUTCOMES,
  event: named('an event of the history, as `conduct history` names it', /^[a-z]+(-[a-z]+)*$/),
  how: listed(['nothing', 'delta', 'ranges', 'whole', 'sweep']),
  job: listed(['stage', 'wait', 'turn', 'drain', 'swap', 'undrain', 'afterSwap', 'verify', 'afterVerify']),
  reason: listed(SLOT_LABELS),
  hot: named('a build, or empty', BUILD),
  cold: named('a build, or empty', BUILD),
  build: named('a build, or empty', BUILD),
  fallback: named('a build, or empty', BUILD),
  rollout: named('id of a rollout', /^[A-Za-z0-9][A-Za-z0-9._-]*$/),
}

/** Where a metric has values of its own for a label. */
const OWN: Readonly<Record<string, Readonly<Record<string, LabelValues>>>> = {
  conductor_rollout_phase: { phase: listed(ROLLOUT_PHASES) },
  conductor_rollout_waits: {
    code: {
      says: 'a reason of a rollout in [why.md](why.md), or `hold`',
      isOne: (value) => value === 'hold' || Object.hasOwn(ROLLOUT_REASONS, value),
    },
  },
  conductor_rollouts_total: { outcome: listed(TERMINAL_PHASES) },
  conductor_rollout_seconds: { outcome: listed(TERMINAL_PHASES) },
  conductor_deploys_total: { outcome: listed(TERMINAL_PHASES) },
  conductor_slots_total: { outcome: listed(SLOT_OUTCOMES) },
  conductor_consul_request_seconds: { kind: CONSUL_KINDS },
  conductor_store_request_seconds: { kind: STORE_KINDS },
  puller_consul_request_seconds: { kind: CONSUL_KINDS },
  puller_store_request_seconds: { kind: STORE_KINDS },
  puller_swaps_total: { outcome: listed(['swapped', 'reverted', 'failed']) },
  puller_job_seconds: { outcome: listed(['ok', 'failed']) },
  puller_move_seconds: { outcome: listed(MOVE_OUTCOMES) },
}

/** Labels that name builds and rollouts: without bound over time, so on `_info` only. */
export const UNBOUNDED: readonly string[] = ['hot', 'cold', 'build', 'fallback', 'rollout', 'node']

/** What a label of a metric may say; undefined where nobody thought of it. */
export function valuesOf(metric: string, label: string): LabelValues | undefined {
  return OWN[metric]?.[label] ?? COMMON[label]
}

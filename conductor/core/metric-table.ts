// Owns the table of the conductor's metrics: name, kind, what it says, and its labels, each of which has few values.

import { SLOT_REASONS } from './slot-reasons.ts'

export interface MetricSpec {
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram, in seconds. */
  readonly buckets?: readonly number[]
}

const ofApp = ['app'] as const
const ofRing = ['app', 'ring'] as const

const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 70]
const WORK_SECONDS = [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400]
const DELIVERY_SECONDS = [60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 604_800]

/** Of the newest view of an app: the same that `conduct status` shows. */
export const VIEW_METRICS = {
  conductor_nodes: {
    type: 'gauge',
    help: 'Nodes by the one count that each is in; the states sum to the roster',
    labels: [...ofRing, 'state'],
  },
  conductor_phase_nodes: {
    type: 'gauge',
    help: 'Nodes by the phase that each said last, silent ones too; the phases sum to the roster',
    labels: [...ofRing, 'phase'],
  },
  conductor_roster_nodes: { type: 'gauge', help: 'Nodes that have a status key in the ring', labels: ofRing },
  conductor_converged_ratio: {
    type: 'gauge',
    help: 'Converged nodes of all; no sample while the ring has no node',
    labels: ofRing,
  },
  conductor_exposed_nodes: {
    type: 'gauge',
    help: 'Nodes that run the build that the order brings, by their last word',
    labels: ofRing,
  },
  conductor_exposed_ratio: {
    type: 'gauge',
    help: 'Exposed nodes of all; no sample while the ring has no node',
    labels: ofRing,
  },
  conductor_ordered_ratio: {
    type: 'gauge',
    help: 'Cutoff of the order in parts of the circle: the share of places that it puts on the build',
    labels: ofRing,
  },
  conductor_skewed_nodes: {
    type: 'gauge',
    help: 'Nodes that do not run the build that the order puts on them, by their last word',
    labels: ofRing,
  },
  conductor_troubled_nodes: {
    type: 'gauge',
    help: 'Nodes that report a trouble of this code; no sample while none does',
    labels: [...ofRing, 'code'],
  },
  conductor_waived_nodes: { type: 'gauge', help: 'Nodes that the open rollout does not wait for', labels: ofRing },
  conductor_target_generation: { type: 'gauge', help: 'Generation of the order in force', labels: ofRing },
  conductor_target_info: {
    type: 'gauge',
    help: '1, with the builds that the order in force names',
    labels: [...ofRing, 'build', 'fallback'],
  },
  conductor_target_trouble: {
    type: 'gauge',
    help: '1 while the target key of the ring holds no order of the conductor, by what is wrong with it',
    labels: [...ofRing, 'code'],
  },
  conductor_rollout_info: {
    type: 'gauge',
    help: '1, with the rollout in progress or the last one',
    labels: [...ofApp, 'rollout', 'build', 'fallback'],
  },
  conductor_rollout_phase: {
    type: 'gauge',
    help: '1 for the phase of the rollout in progress or the last one',
    labels: [...ofApp, 'phase'],
  },
  conductor_rollout_open: { type: 'gauge', help: '1 while a rollout is in progress', labels: ofApp },
  conductor_rollout_held: { type: 'gauge', help: '1 while the open rollout is on hold', labels: ofApp },
  conductor_rollout_waits: {
    type: 'gauge',
    help: '1 for the first reason why the rollout waits; no sample while it does not',
    labels: [...ofApp, 'code'],
  },
  conductor_rollout_stage: { type: 'gauge', help: 'Stage in hand, from 1', labels: ofApp },
  conductor_rollout_stages: { type: 'gauge', help: 'Stages of the rollout', labels: ofApp },
  conductor_rollout_start_time_seconds: {
    type: 'gauge',
    help: 'When the rollout in progress or the last one began, in seconds since 1970',
    labels: ofApp,
  },
  conductor_rollout_end_time_seconds: {
    type: 'gauge',
    help: 'When the last rollout ended, in seconds since 1970; no sample while it is open',
    labels: ofApp,
  },
  conductor_line_holds: { type: 'gauge', help: 'Holds of the line that count now', labels: ofApp },
  conductor_lease_held: { type: 'gauge', help: '1 while anybody holds the lease of the app', labels: ofApp },
} as const satisfies Readonly<Record<string, MetricSpec>>

/** Made of the history alone: every conductor that has read it shows the same, after a restart too. */
export const HISTORY_METRICS = {
  conductor_history_entries: { type: 'gauge', help: 'Number of the newest entry that was counted', labels: ofApp },
  conductor_history_events_total: {
    type: 'counter',
    help: 'Entries of the history by event',
    labels: [...ofApp, 'event'],
  },
  conductor_slots_total: {
    type: 'counter',
    help: 'Slots of the calendar that were decided, by what became of them and why',
    labels: [...ofApp, 'outcome', 'reason'],
  },
  conductor_rollouts_total: {
    type: 'counter',
    help: 'Rollouts that ended, by outcome',
    labels: [...ofApp, 'outcome'],
  },
  conductor_rollout_seconds: {
    type: 'histogram',
    help: 'From the beginning of a release to its end',
    labels: [...ofApp, 'outcome'],
    buckets: WORK_SECONDS,
  },
  conductor_stage_seconds: {
    type: 'histogram',
    help: 'How long each stage took until it was passed, its soak included',
    labels: ofRing,
    buckets: WORK_SECONDS,
  },
  conductor_time_to_converge_seconds: {
    type: 'histogram',
    help: 'From the first order of a stage that exposes nodes until every node that it is about runs the build',
    labels: ofRing,
    buckets: WORK_SECONDS,
  },
  conductor_rollback_seconds: {
    type: 'histogram',
    help: 'From the decision to go back until nobody runs the build any more',
    labels: ofApp,
    buckets: WORK_SECONDS,
  },
  conductor_deploys_total: {
    type: 'counter',
    help: 'Rollouts forward that ran their build on a node of the ring, by outcome, counted at their end',
    labels: [...ofRing, 'outcome'],
  },
  conductor_reverted_deploys_total: {
    type: 'counter',
    help: 'Deploys that ended done in the ring and were taken back later',
    labels: ofRing,
  },
  conductor_lead_time_seconds: {
    type: 'histogram',
    help: 'From the publication of a build until every node of the ring ran it',
    labels: ofRing,
    buckets: DELIVERY_SECONDS,
  },
  conductor_time_to_restore_seconds: {
    type: 'histogram',
    help: 'From the first order that exposed nodes of the ring to a build that was taken back until nobody ran it any more',
    labels: ofRing,
    buckets: DELIVERY_SECONDS,
  },
} as const satisfies Readonly<Record<string, MetricSpec>>

/** Of this process. */
export const PROCESS_METRICS = {
  conductor_start_time_seconds: {
    type: 'gauge',
    help: 'When this process began, in seconds since 1970',
    labels: ofApp,
  },
  conductor_ready: { type: 'gauge', help: '1 while it can do its work, as /readyz says', labels: ofApp },
  conductor_leading: { type: 'gauge', help: '1 while this process leads the app', labels: ofApp },
  conductor_view_age_seconds: {
    type: 'gauge',
    help: 'Since the part of the view was answered for that was asked about longest ago',
    labels: ofApp,
  },
  conductor_event_clients: { type: 'gauge', help: 'Clients of the event stream', labels: ofApp },
  conductor_next_slot_time_seconds: {
    type: 'gauge',
    help: 'The next slot of the calendar, in seconds since 1970; no sample where there is none',
    labels: ofApp,
  },
  conductor_consul_request_seconds: {
    type: 'histogram',
    help: 'Requests to Consul, blocking queries included',
    labels: ['kind', 'outcome'],
    buckets: REQUEST_SECONDS,
  },
  conductor_store_request_seconds: {
    type: 'histogram',
    help: 'Requests to the store until their last byte',
    labels: ['kind', 'outcome'],
    buckets: REQUEST_SECONDS,
  },
} as const satisfies Readonly<Record<string, MetricSpec>>

/** What became of a slot of the calendar. */
export const SLOT_OUTCOMES = ['fired', 'skipped', 'missed'] as const

/** Why: the reasons of a slot, `fired` where something began, `other` for a code that only a later version knows. */
export type SlotLabel = keyof typeof SLOT_REASONS | 'other'
export const SLOT_LABELS: readonly SlotLabel[] = [
  ...(Object.keys(SLOT_REASONS) as (keyof typeof SLOT_REASONS)[]),
  'other',
]

/** The labels of a slot with this code. */
export function slotLabels(reason: SlotLabel): { readonly outcome: string; readonly reason: SlotLabel } {
  return { outcome: reason === 'fired' || reason === 'missed' ? reason : 'skipped', reason }
}

export type ViewMetric = keyof typeof VIEW_METRICS
export type HistoryMetric = keyof typeof HISTORY_METRICS

/** One value of a metric. Of a counter it is what is added, of a histogram one observation. */
export interface Sample<name extends string = string> {
  readonly name: name
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

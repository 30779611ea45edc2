// Owns why a ring stands where it stands: its key first, then the rollout that is at it, then its nodes.
import { told, type Why } from './case.ts'
import type { Picture, RingPicture } from './picture.ts'
import { RING_REASONS } from './reasons.ts'

type RingReason = keyof typeof RING_REASONS

export function ringWhys(picture: Picture): readonly Why[] {
  return picture.rings.map((ring) => ringWhy(ring, picture))
}

const KEYS: Readonly<Record<string, RingReason>> = {
  NOT_INITIALISED: 'ring-unknown',
  TARGET_GONE: 'ring-key-gone',
  TARGET_REGRESSED: 'ring-key-older',
  ORPHAN_WRITE: 'ring-orphan-write',
  'bare-order': 'ring-bare-order',
}

/** Reasons that leave a ring as it was ordered. */
const CALM: readonly RingReason[] = ['ring-settled', 'ring-created']

function ringWhy(view: RingPicture, picture: Picture): Why {
  const { ring, target } = view
  const code = reasonOf(view, picture)
  const who = code === 'ring-nodes-silent' ? 'silent' : code === 'ring-nodes-failed' ? 'failed' : 'working'
  const named = code.startsWith('ring-nodes-') || code === 'ring-in-hand'
  const nodes = named ? view.nodes.filter(({ state }) => state === who).map(({ node }) => node) : []
  const build = target?.build ?? ''
  const id = picture.rollout?.id ?? ''
  return told({
    about: ring,
    code,
    spec: RING_REASONS[code],
    words: { app: picture.app, build, id, ring, node: nodes.length === 1 ? (nodes[0] ?? '') : '' },
    evidence: evidenceOf(view, picture, code),
    nodes,
    waits: !CALM.includes(code),
  })
}

function reasonOf(view: RingPicture, { rollout, holds }: Picture): RingReason {
  const { ring, target, trouble, counts } = view
  if (trouble !== null) return KEYS[trouble.code] ?? 'ring-key-unreadable'
  if (counts.total === 0) return 'ring-no-nodes'
  const open = rollout !== null && rollout.endedAt === null && Object.hasOwn(rollout.fallbacks, ring) ? rollout : null
  const written = open !== null && target?.rollout === open.id
  if (open !== null && open.phase === 'recalling' && written) return 'ring-returning'
  if (open !== null && open.phase !== 'recalling' && ring === open.stage.ring) return 'ring-in-hand'
  if (holds.some((hold) => hold.ring === ring)) return 'ring-held'
  if (open !== null && open.phase !== 'recalling' && target?.build !== open.build) return 'ring-next'
  if (counts.failed > 0) return 'ring-nodes-failed'
  if (counts.silent > 0) return 'ring-nodes-silent'
  if (open !== null && target !== null && target.cutoff === 0 && target.build !== null) return 'ring-next'
  if (target?.build === null) return 'ring-created'
  return counts.working + counts.staged > 0 ? 'ring-nodes-working' : 'ring-settled'
}

function evidenceOf({ ring, target, trouble, counts }: RingPicture, { holds }: Picture, code: RingReason) {
  const { total, converged, staged, working, failed, silent } = counts
  const kept = holds.filter((hold) => hold.ring === ring)
  const what = target?.build ?? 'nothing'
  return [
    ...(trouble === null ? [] : [trouble.message]),
    ...(code === 'ring-held' ? kept.map(({ by, at, reason }) => `stopped by ${by} since ${at}: ${reason}`) : []),
    ...(target === null ? [] : [`generation ${target.generation} orders ${what}, by ${target.by || 'nobody'}`]),
    `${total} nodes: ${converged} converged, ${staged} staged, ${working} working, ${failed} failed, ${silent} silent`,
  ]
}

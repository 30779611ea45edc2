// Owns why anything of an app stands or waits: its rollout, every ring and every node, each with one primary reason.

import type { SlotRecord } from '#fleet/slot.ts'
import type { Why } from './case.ts'
import type { Picture } from './picture.ts'
import { nodeWhys } from './why-node.ts'
import { ringWhys } from './why-ring.ts'
import { rolloutWhy } from './why-rollout.ts'
import { slotWhy } from './why-slot.ts'

export interface Whys {
  readonly app: string
  readonly rollout: Why
  /** The last slot, where it began nothing and nothing is being rolled out. */
  readonly slot: Why | null
  readonly rings: readonly Why[]
  readonly nodes: readonly (Why & { readonly ring: string })[]
}

/** Pure. @param nowMs milliseconds since 1970 @param last what became of the last slot; null: none is on record */
export function whysOf(picture: Picture, nowMs: number, last: SlotRecord | null = null): Whys {
  const idle = picture.rollout === null || picture.rollout.endedAt !== null
  return {
    app: picture.app,
    rollout: rolloutWhy(picture, nowMs),
    slot: idle && last?.outcome === 'skipped' ? slotWhy(last) : null,
    rings: ringWhys(picture),
    nodes: nodeWhys(picture),
  }
}

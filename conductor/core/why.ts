// Owns why anything of an app stands or waits: its rollout, every ring and every node, each with one primary reason.
import type { Why } from './case.ts'
import type { Picture } from './picture.ts'
import { nodeWhys } from './why-node.ts'
import { ringWhys } from './why-ring.ts'
import { rolloutWhy } from './why-rollout.ts'

export interface Whys {
  readonly app: string
  readonly rollout: Why
  readonly rings: readonly Why[]
  readonly nodes: readonly (Why & { readonly ring: string })[]
}

/** Pure. @param nowMs milliseconds since 1970 */
export function whysOf(picture: Picture, nowMs: number): Whys {
  return {
    app: picture.app,
    rollout: rolloutWhy(picture, nowMs),
    rings: ringWhys(picture),
    nodes: nodeWhys(picture),
  }
}

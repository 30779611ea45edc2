// Owns what a verb would do, said beforehand: who must download, how many move, in how many writes.
import type { BuildId } from '#fleet/build.ts'
import { capOf, type Policy, policyIn, type RingView } from './standing.ts'

export interface RingPreview {
  readonly ring: string
  readonly nodes: number
  /** Nodes that run the build already. */
  readonly there: number
  /** Nodes that hold it complete in cold: a rename. */
  readonly warm: number
  /** Names of the nodes that hold it nowhere. */
  readonly download: readonly string[]
  readonly silent: number
  readonly cap: number
}

/** What a ring's nodes need to run `build`. */
export function previewRing({ ring, nodes }: RingView, build: BuildId, policy: Policy): RingPreview {
  const there = nodes.filter(({ status }) => status.hot === build)
  const warm = nodes.filter(({ status }) => status.hot !== build && status.cold === build)
  const download = nodes.filter(({ status }) => status.hot !== build && status.cold !== build)
  return {
    ring,
    nodes: nodes.length,
    there: there.length,
    warm: warm.length,
    download: download.map(({ status }) => status.node),
    silent: nodes.filter(({ silent }) => silent).length,
    cap: capOf(policyIn(policy, ring), nodes.length),
  }
}

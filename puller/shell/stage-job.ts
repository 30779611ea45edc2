// Owns what a staging is asked for, besides the order itself.
import type { StageOrder, StageProgress, TreeName } from '../core/trees.ts'

export interface StageJob {
  readonly order: StageOrder
  readonly cold: TreeName
  readonly hot: TreeName | null
  /** Believe nothing of what the seal's record says: every file is hashed again. */
  readonly doubted: boolean
  /** The last staging found this tree in use. */
  readonly busy: boolean
  readonly signal: AbortSignal
  readonly onProgress: (progress: StageProgress) => void
  /** Orders whose share of the spread was waited for already: a retry must not wait again. */
  readonly spread: Set<string>
  /** Done once the tree is sealed, before it counts as staged; when it throws the tree stays unarmed. Not for a tree that was hot before. */
  readonly beforeArm?: ((tree: string) => Promise<void>) | undefined
}

/** Worked out when it is first asked for, once. */
export function lazily<value>(work: () => value): () => value {
  let done: { readonly value: value } | null = null
  return () => {
    done ??= { value: work() }
    return done.value
  }
}

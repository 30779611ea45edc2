// Owns what a waiver means: the named node blocks nothing any more, and stays counted and shown.
import type { Rollout, Waiver } from '#fleet/rollout.ts'

/** Nodes of a rollout that need not be waited for, by name. */
export function waivedNodes({ waivers }: Rollout): ReadonlySet<string> {
  return new Set((waivers ?? []).map(({ node }) => node))
}

/** The nodes among these that still count against going on. */
export function unwaived<node extends { readonly status: { readonly node: string } }>(
  rollout: Rollout,
  nodes: readonly node[],
): readonly node[] {
  const waived = waivedNodes(rollout)
  return waived.size === 0 ? nodes : nodes.filter(({ status }) => !waived.has(status.node))
}

/** Those that were not counted, for the end of a rollout: `node-3 (waived by ana: disk is dead) and 2 more`; empty when all were. */
export function describeWaived({ waivers = [] }: Rollout): string {
  const shown = waivers.slice(0, 5).map(describeWaiver).join(', ')
  return waivers.length > 5 ? `${shown} and ${waivers.length - 5} more` : shown
}

/** Name under which the history tells of a waiver that the plan itself made. */
export const POLICY = 'policy'

/** `node-3 (waived by ana: disk is dead)`. */
export function describeWaiver({ node, by, reason }: Waiver): string {
  return `${node} (waived by ${by}: ${reason})`
}

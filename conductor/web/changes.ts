// Owns what changed between two pictures, in few words: of a thousand nodes only those that say something new.
import type { NodePicture, Picture, RingPicture } from '#conductor/core/picture.ts'

/** What is new in a ring; a key that is left out is as it was. */
export interface RingChange {
  readonly ring: string
  readonly target?: RingPicture['target']
  readonly trouble?: RingPicture['trouble']
  readonly counts?: RingPicture['counts']
  readonly nodes?: readonly NodePicture[]
  /** Names of nodes that are no more. */
  readonly gone?: readonly string[]
}

export interface Change {
  readonly rings?: readonly RingChange[]
  readonly rollout?: Picture['rollout']
  readonly lease?: Picture['lease']
  readonly holds?: Picture['holds']
}

/** Null: nothing. Rings are of the same names in both. */
export function changeOf(before: Picture, after: Picture): Change | null {
  const rings = after.rings.flatMap((ring) => {
    const old = before.rings.find((one) => one.ring === ring.ring)
    return ringChange(old, ring) ?? []
  })
  const change: Change = {
    ...(rings.length > 0 && { rings }),
    ...(!same(before.rollout, after.rollout) && { rollout: after.rollout }),
    ...(!same(before.lease, after.lease) && { lease: after.lease }),
    ...(!same(before.holds, after.holds) && { holds: after.holds }),
  }
  return Object.keys(change).length === 0 ? null : change
}

function ringChange(before: RingPicture | undefined, after: RingPicture): RingChange | null {
  const old = new Map(before?.nodes.map((node) => [node.node, node]))
  const nodes = after.nodes.filter((node) => !same(old.get(node.node), node))
  const names = new Set<string>(after.nodes.map(({ node }) => node))
  const gone = [...old.keys()].filter((name) => !names.has(name))
  const change = {
    ...(!same(before?.target, after.target) && { target: after.target }),
    ...(!same(before?.trouble, after.trouble) && { trouble: after.trouble }),
    ...(!same(before?.counts, after.counts) && { counts: after.counts }),
    ...(nodes.length > 0 && { nodes }),
    ...(gone.length > 0 && { gone }),
  }
  return Object.keys(change).length === 0 ? null : { ring: after.ring, ...change }
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [Object.entries(a), Object.entries(b)]
  return left.length === right.length && left.every(([key, value]) => Object.hasOwn(b, key) && same(value, at(b, key)))
}

function at(of: object, key: string): unknown {
  return (of as Readonly<Record<string, unknown>>)[key]
}

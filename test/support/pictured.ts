// Owns what a client of the event stream does with a change: the picture that it has, brought up to date by the words of docs/api.md.
import type { Picture } from '#conductor/core/picture.ts'
import type { Change } from '#conductor/web/changes.ts'

export function applied(picture: Picture, { rings = [], ...more }: Change): Picture {
  const next = picture.rings.map((ring) => {
    const { nodes = [], gone = [], ...rest } = rings.find((one) => one.ring === ring.ring) ?? { ring: ring.ring }
    const kept = ring.nodes
      .filter((old) => !gone.includes(old.node))
      .map((old) => nodes.find(({ node }) => node === old.node) ?? old)
    const fresh = nodes.filter(({ node }) => ring.nodes.every((old) => old.node !== node))
    return { ...ring, ...rest, nodes: [...kept, ...fresh].toSorted((a, b) => (a.node < b.node ? -1 : 1)) }
  })
  return { ...picture, ...more, rings: next }
}

// Owns what verbs do to the keys beside the rollouts: holds of the line, pins, nodes that are gone, and builds under quarantine.
import type { BuildId, Name } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { hasExpired, type LineHold } from '#fleet/hold.ts'
import type { AsideView, AsideWrite, CatalogEntry, Pin } from '#fleet/ports.ts'
import { lineIn, readCatalogEntry, readPin, writeCatalogEntry, writeLine, writePin } from '#fleet/wire.ts'
import { PAUSED } from './legality.ts'
import { isHalfPruned } from './prune.ts'
import { isOver, type RolloutEvent } from './reduce.ts'
import type { Decision, Noted, VerbFacts, VerbWish } from './verbs.ts'

const NO_KEY: AsideView = { raw: null, index: 0, held: false }

export function decideAside(wish: VerbWish, facts: VerbFacts): Decision {
  const aside = facts.aside ?? NO_KEY
  switch (wish.verb) {
    case 'hold':
      return hold(wish, aside)
    case 'unhold':
      return unhold(wish, aside)
    case 'pin':
    case 'unpin':
    case 'forget': {
      const [ring, node] = [wish.rings[0], wish.nodes[0]]
      if (ring === undefined || node === undefined) return unnamed('a node and its ring')
      if (wish.verb === 'forget') return forget(wish, ring, node, aside)
      return wish.verb === 'pin' ? pin(wish, ring, node, aside) : unpin(wish, ring, node, aside)
    }
    default:
      if (wish.build === null) return unnamed('a build')
      return quarantine(wish, wish.build, aside, facts)
  }
}

const unnamed = (what: string): Decision => ({ kind: 'refuse', code: 'USAGE', message: `the verb names ${what}` })

function writing(message: string, write: AsideWrite, noted: Noted, events: readonly RolloutEvent[] = []): Decision {
  return { kind: 'do', events, noted: [noted], aside: [write], message }
}

const until = (expires: string | null): string => (expires === null ? '' : ` until ${expires}`)
const about = (ring: Name | null): string => ring ?? 'every ring'

/** One hold for each person and ring: whoever holds again says it anew. */
function hold({ rings, by, reason, at, expires }: VerbWish, { raw, index }: AsideView): Decision {
  const standing = lineIn(raw).filter((one) => !hasExpired(one, Date.parse(at)))
  const wanted = (rings.length === 0 ? [null] : rings).map((ring): LineHold => ({ ring, by, reason, at, expires }))
  const stands = (one: LineHold) =>
    standing.some((held) => same(held, one) && held.reason === one.reason && held.expires === one.expires)
  const where = wanted.map(({ ring }) => about(ring)).join(', ')
  if (wanted.every(stands)) return { kind: 'already', message: `the line is stopped for ${where} by ${by}: ${reason}` }
  const kept = standing.filter((held) => !wanted.some((one) => same(held, one)))
  const message = `the line is stopped for ${where}${until(expires)}: nothing advances there; rollback works, conduct unhold lifts it`
  const noted = { event: 'line-held', facts: { rings: where, reason, expires } }
  return writing(message, { key: { kind: 'hold' }, raw: writeLine([...kept, ...wanted]), index }, noted)
}

function same(a: LineHold, b: LineHold): boolean {
  return a.ring === b.ring && a.by === b.by
}

/** Lifts the holds of exactly what is named, whoever put them there: of the whole app, or of rings. */
function unhold({ rings, at, reason }: VerbWish, { raw, index }: AsideView): Decision {
  const standing = lineIn(raw).filter((one) => !hasExpired(one, Date.parse(at)))
  const scopes: readonly (Name | null)[] = rings.length === 0 ? [null] : rings
  const lifted = standing.filter(({ ring }) => scopes.includes(ring))
  const kept = standing.filter((one) => !lifted.includes(one))
  const left = kept.map(({ ring, by }) => `${about(ring)} by ${by}`).join(', ')
  const rest = kept.length === 0 ? '' : `; still stopped: ${left}`
  const where = scopes.map(about).join(', ')
  if (lifted.length === 0) return { kind: 'already', message: `no hold names ${where}${rest}` }
  const whose = [...new Set(lifted.map(({ by }) => by))].join(', ')
  const noted = { event: 'line-released', facts: { rings: where, of: whose, reason } }
  const message = `the hold of ${whose} on ${where} is lifted${rest}`
  return writing(message, { key: { kind: 'hold' }, raw: writeLine(kept), index }, noted)
}

/** A pin that cannot be read counts as one, as it does for the node. */
function pinIn(raw: Uint8Array | null): Pin | null {
  if (raw === null) return null
  return attempt(() => readPin(raw)) ?? { by: 'unknown', reason: 'the pin cannot be read', expires: null }
}

function attempt<value>(read: () => value): value | null {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof FleetError)) throw error
    return null
  }
}

function pin({ by, reason, expires, at }: VerbWish, ring: Name, node: Name, { raw, index }: AsideView): Decision {
  const before = pinIn(raw)
  const stands = before !== null && !hasExpired(before, Date.parse(at))
  if (stands && before.by === by && before.reason === reason && before.expires === expires) {
    return { kind: 'already', message: `${node} is pinned by ${by}: ${reason}` }
  }
  const write = { key: { kind: 'pin', ring, node }, raw: writePin({ by, reason, expires }), index } as const
  const noted = { event: 'pinned', facts: { node, ring, reason, expires } }
  return writing(
    `${node} of ${ring} is pinned${until(expires)}: it keeps what it runs; conduct unpin ${node} lets it go on`,
    write,
    noted,
  )
}

function unpin({ reason }: VerbWish, ring: Name, node: Name, { raw, index }: AsideView): Decision {
  const before = pinIn(raw)
  if (before === null) return { kind: 'already', message: `${node} of ${ring} is not pinned` }
  const noted = { event: 'unpinned', facts: { node, ring, of: before.by, reason } }
  return writing(
    `the pin of ${before.by} on ${node} of ${ring} is lifted`,
    { key: { kind: 'pin', ring, node }, raw: null, index },
    noted,
  )
}

function forget({ reason }: VerbWish, ring: Name, node: Name, { raw, index, held }: AsideView): Decision {
  if (raw === null) return { kind: 'already', message: `${node} is not in the roster of ${ring}` }
  if (held) {
    const message = `${node} of ${ring} reports now: a node is forgotten when its session is gone, up to 30 s after its puller ended`
    return { kind: 'refuse', code: 'NODE_ALIVE', message }
  }
  const noted = { event: 'forgotten', facts: { node, ring, reason } }
  const message = `${node} is forgotten: the roster of ${ring} no longer counts it; it comes back when its puller reports again`
  return writing(message, { key: { kind: 'node', ring, node }, raw: null, index }, noted)
}

function entryIn({ raw }: AsideView): CatalogEntry | null {
  return raw === null ? null : attempt(() => readCatalogEntry(raw))
}

/** The quarantine of a catalog entry as it stands, null when there is none. */
export function quarantineOf(aside: AsideView | null): CatalogEntry['quarantine'] {
  return aside === null ? null : (entryIn(aside)?.quarantine ?? null)
}

function quarantine(wish: VerbWish, build: BuildId, aside: AsideView, { rollout, fleet }: VerbFacts): Decision {
  const { verb, by, reason, at } = wish
  const entry = entryIn(aside)
  if (entry === null) {
    const why = aside.raw === null ? 'is not in the catalog' : 'has a catalog entry that cannot be read'
    return { kind: 'refuse', code: 'BUILD_UNKNOWN', message: `${build} ${why}` }
  }
  const write = (next: CatalogEntry['quarantine']): AsideWrite => ({
    key: { kind: 'build', build },
    raw: writeCatalogEntry({ ...entry, quarantine: next }),
    index: aside.index,
  })
  const before = entry.quarantine
  if (verb === 'clear') {
    if (before === null) return { kind: 'already', message: `${build} is not under quarantine` }
    if (isHalfPruned(entry)) {
      const fact = `${build} is being pruned by ${before.by}: not all of it is in the store any more`
      return { kind: 'refuse', code: 'BUILD_QUARANTINED', message: `${fact}; conduct prune removes the rest` }
    }
    const noted = { event: 'cleared', facts: { build, of: before.by, was: before.reason, reason } }
    return writing(`the quarantine of ${build} by ${before.by} is lifted: it may be released`, write(null), noted)
  }
  if (before !== null)
    return { kind: 'already', message: `${build} is under quarantine by ${before.by}: ${before.reason}` }
  const noted = { event: 'quarantined', facts: { build, reason } }
  const open = rollout !== null && !isOver(rollout) && rollout.build === build ? rollout : null
  const pauses = open !== null && open.phase !== 'recalling' && open.hold === null
  const runs = Object.values(fleet.rings).filter(({ nodes }) => nodes.some(({ status }) => status.hot === build))
  const where =
    runs.length === 0 ? '' : `; it runs in ${runs.map(({ ring }) => ring).join(', ')}: conduct rollback takes it back`
  const stop = pauses ? `; rollout ${open.id} of it is paused` : ''
  const held = {
    type: 'held',
    hold: { by, code: PAUSED, reason: `${build} is under quarantine: ${reason}`, at },
  } as const
  const message = `${build} is under quarantine: nothing releases it until conduct clear ${build}${stop}${where}`
  return writing(message, write({ by, reason, at }), noted, pauses ? [held] : [])
}

// Owns looking: one picture of an app, made of its orders, its rollout and its nodes, and waking up when nodes say something new.

import { isByHand } from '#conductor/core/orphan.ts'
import { type FleetView, type Policy, type RingView, readStanding } from '#conductor/core/standing.ts'
import type { Name } from '#fleet/build.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { Clock, Ledger, LedgerView, StatusBoard } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import type { RosterNode } from '#fleet/roster.ts'
import { lineIn } from '#fleet/wire.ts'

export interface Observation {
  readonly ledger: LedgerView
  readonly rollout: Rollout | null
  readonly fleet: FleetView
}

export interface Eyes {
  readonly ledger: Ledger
  readonly board: StatusBoard
}

/**
 * One picture. Rosters are read before orders, so that a node is never seen to be ahead of an order that was merely read too early.
 * @throws FleetError of kind transient or refused
 */
export async function observe(
  eyes: Eyes,
  of: { readonly app: Name; readonly rings: readonly Name[]; readonly policy: Policy },
  signal: AbortSignal,
): Promise<Observation> {
  const { app, rings, policy } = of
  const rosters = new Map<Name, readonly RosterNode[]>()
  await Promise.all(rings.map(async (ring) => rosters.set(ring, await eyes.board.roster(ring, signal))))
  const ledger = await eyes.ledger.view(rings, signal)
  const views = rings.map((ring): [string, RingView] => {
    const target = ledger.targets[ring]
    const byHand = isByHand(target?.raw ?? null, ledger.rollout?.record ?? null, ring)
    return [ring, { ring, standing: readStanding(target, app, ring), byHand, nodes: rosters.get(ring) ?? [] }]
  })
  const line = lineIn(ledger.hold?.raw ?? null)
  return { ledger, rollout: ledger.rollout?.record ?? null, fleet: { policy, rings: Object.fromEntries(views), line } }
}

/** The view of a ring that was observed. */
export function ringOf({ fleet }: Observation, ring: Name): RingView {
  const view = fleet.rings[ring]
  if (view === undefined) throw new FleetError('USAGE', `ring ${ring} was not observed`)
  return view
}

/** Wakes whoever waits when a node of one of the rings says something, and otherwise after a tick. */
export class Bell {
  private ring: () => void = () => undefined
  /** It rang while nobody waited: what changed since the last look must not wait for a tick. */
  private rang = false
  private readonly clock: Clock
  private readonly tickMs: number

  constructor(board: StatusBoard, rings: readonly Name[], clock: Clock, tickMs: number, signal: AbortSignal) {
    this.clock = clock
    this.tickMs = tickMs
    for (const ring of rings) void this.listen(board, ring, signal)
  }

  private async listen(board: StatusBoard, ring: Name, signal: AbortSignal): Promise<void> {
    try {
      for await (const _roster of board.changes(ring, signal)) {
        this.rang = true
        this.ring()
      }
    } catch {
      // The tick goes on waking, and every picture is read anew: a deaf bell costs a second, never truth.
    }
  }

  /** Resolves at the next ring or tick; rejects with the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    if (!this.rang) {
      const rung = new AbortController()
      this.ring = () => rung.abort()
      await this.clock.sleep(this.tickMs, AbortSignal.any([signal, rung.signal])).catch(() => undefined)
      this.ring = () => undefined
    }
    this.rang = false
    signal.throwIfAborted()
  }
}

/** Whether to look again after this error: the world did not answer, or someone was first. */
export function isPassing(error: unknown): error is FleetError {
  return isFleetError(error) && (error.kind === 'transient' || error.code === 'WRITE_CONFLICT')
}

// Owns the leader's first duty: requests are answered whether or not a rollout is open, and every open rollout is driven to its end.

import type { GateReader } from '#conductor/core/gates.ts'
import { isOver } from '#conductor/core/reduce.ts'
import type { Policy } from '#conductor/core/standing.ts'
import type { Name } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import type { Lease, LeaseNote, Logger, Request } from '#fleet/ports.ts'
import type { Rollout } from '#fleet/rollout.ts'
import { execute, tell } from './execute.ts'
import type { Duty } from './lead.ts'
import { isPassing, type Observation, observe } from './observe.ts'
import { everyRing, OrphanWatch } from './orphans.ts'
import { type Driving, drive } from './reconcile.ts'
import { answerRequests, begins } from './requests.ts'

/** What came of a request to begin something: the rollout that it is about, and what is to begin after it. */
export interface Begun {
  readonly rollout: string | null
  /** All nodes at once, as its asker said. */
  readonly atOnce: boolean
  readonly later: readonly Rollout[]
}

/** Decides on a request and writes what comes of it with the answer. @throws FleetError that is passing · `LEASE_LOST` */
export type Beginner = (request: Request, lease: Lease, signal: AbortSignal) => Promise<Begun>

export interface Rollouts {
  readonly driving: Omit<Driving, 'lease' | 'deadlineMs' | 'serving' | 'gates' | 'onTurn'>
  /** A reader for one rollout: what it remembers is about no other. */
  gates(): GateReader | null
  readonly rings: readonly Name[]
  readonly log: Logger
  note(): LeaseNote
  readonly begin: Beginner
  /** What is owed after a rollout that is over; called again for one that was paid. */
  settle(lease: Lease, rollout: Rollout, signal: AbortSignal): Promise<void>
  /** Resolves when something was written, or after a moment. */
  stirred(signal: AbortSignal): Promise<void>
  /** Told at each turn. */
  onTurn(): void
}

export function rolloutsDuty(rollouts: Rollouts): Duty {
  return (lease, signal) => new Term(rollouts, lease, signal).run()
}

class Term {
  readonly #of: Rollouts
  readonly #lease: Lease
  readonly #signal: AbortSignal
  readonly #orphans = new OrphanWatch()
  /** Rollouts that somebody wants all at once, by id: no record says so, and the next leader is more careful. */
  readonly #atOnce = new Set<string>()
  #later: readonly Rollout[] = []
  #rings: readonly Name[]
  #settled = ''
  /** Commands after rollouts that have not ended: the next release waits for them, and nothing else does. */
  #owed = 0
  #settling: Promise<void> = Promise.resolve()

  constructor(of: Rollouts, lease: Lease, signal: AbortSignal) {
    this.#of = of
    this.#lease = lease
    this.#signal = signal
    this.#rings = of.rings
  }

  async run(): Promise<void> {
    const { clock } = this.#of.driving
    try {
      let told = false
      for (;;) {
        this.#signal.throwIfAborted()
        this.#of.onTurn()
        try {
          if (!told) await this.#tellLead()
          told = true
          if (!(await this.#turn())) await this.#of.stirred(this.#signal)
        } catch (error) {
          this.#signal.throwIfAborted()
          if (!isPassing(error)) throw error
          const { code, message } = error
          // Somebody else's write came first: that is how it goes.
          if (error.kind === 'conflict')
            this.#of.log.debug('a turn of the leader came to nothing', { code, error: message })
          else this.#of.log.warn('a turn of the leader came to nothing', { code, error: message })
          await clock.sleep(100 + 400 * clock.random(), this.#signal)
        }
      }
    } finally {
      await this.#settling
    }
  }

  /** Everybody can read later who led, and what they found. */
  async #tellLead(): Promise<void> {
    const { driving, note, rings } = this.#of
    const { ledger, clock, by } = driving
    this.#rings = await everyRing(ledger, rings, this.#signal)
    const seen = await ledger.view(this.#rings, this.#signal)
    const open = seen.rollout !== null && !isOver(seen.rollout.record) ? seen.rollout.record : null
    const facts = { holder: note().holder, rollout: open?.id ?? null, build: open?.build ?? null }
    const told = [{ at: new Date(clock.now()).toISOString(), by, event: 'led', facts }]
    await this.#execute(seen, { rollout: null, events: [], told, answered: [] })
  }

  #execute(...[seen, deed]: [Parameters<typeof execute>[1], Parameters<typeof execute>[2]]) {
    return execute({ ledger: this.#of.driving.ledger, lease: this.#lease }, seen, deed, this.#signal)
  }

  /** @returns whether anything was done: then it is looked at again at once */
  async #turn(): Promise<boolean> {
    const { driving } = this.#of
    const { app, ledger, policy, clock, by } = driving
    const signal = this.#signal
    const seen = await observe(driving, { app, rings: this.#rings, policy }, signal)
    const observed = this.#owed > 0 ? withoutReleases(seen) : seen
    const { rollout } = observed
    const at = new Date(clock.now()).toISOString()
    if (rollout !== null && !isOver(rollout)) {
      await this.#drive(rollout)
      return true
    }
    if (rollout !== null) this.#settle(rollout)
    const world = { ledger, lease: this.#lease }
    if (await this.#orphans.record(world, observed.ledger, { app, by, at }, signal)) return true
    if (await this.#begin(observed)) return true
    const asked = await answerRequests(ledger, observed, policy, at, signal, begins)
    if (asked !== null) {
      await this.#execute(observed.ledger, asked.deed)
      return true
    }
    return this.#goOnBack(observed, at)
  }

  async #begin(observed: Observation): Promise<boolean> {
    const { clock } = this.#of.driving
    const [request] = observed.ledger.requests
    const at = new Date(clock.now()).toISOString()
    if (request === undefined || request.expires < at || !begins(request, observed)) return false
    const begun = await this.#of.begin(request, this.#lease, this.#signal)
    if (begun.rollout !== null && begun.atOnce) this.#atOnce.add(begun.rollout)
    for (const one of begun.atOnce ? begun.later : []) this.#atOnce.add(one.id)
    if (begun.later.length > 0) this.#later = begun.later
    return true
  }

  /** A way back from several builds has a rollout for each: the next one, when the one before is over. */
  async #goOnBack({ ledger }: Observation, at: string): Promise<boolean> {
    const [next, ...rest] = this.#later
    if (next === undefined) return false
    const turn = { type: 'recallBegun', cause: 'operator', outcome: next.outcome ?? 'rolled back' } as const
    await this.#execute(ledger, { rollout: next, events: [], told: tell(next, [turn], next.by, at), answered: [] })
    this.#later = rest
    return true
  }

  async #drive(rollout: Rollout): Promise<void> {
    const { driving, onTurn } = this.#of
    const rings = [...new Set([...this.#rings, ...(Object.keys(rollout.fallbacks) as Name[])])]
    const driven = await drive(
      {
        ...driving,
        lease: this.#lease,
        gates: this.#of.gates(),
        policy: this.#policyOf(rollout),
        deadlineMs: Number.POSITIVE_INFINITY,
        serving: { begins: (observed) => this.#begin(observed) },
        onTurn: () => onTurn(),
      },
      rings,
      this.#signal,
    )
    this.#atOnce.delete(driven.rollout.id)
  }

  #policyOf({ id, phase }: Rollout): Policy {
    const { policy } = this.#of.driving
    if (!this.#atOnce.has(id)) return policy
    return phase === 'recalling' ? { ...policy, allAtOnce: true } : { ...policy, maxUnavailable: 100, allAtOnce: true }
  }

  /** Beside the turns, one after the other: a rollback must not wait for somebody's command. */
  #settle(rollout: Rollout): void {
    if (rollout.id === this.#settled) return
    this.#settled = rollout.id
    this.#owed += 1
    this.#settling = this.#settling
      .then(() => this.#pay(rollout))
      .finally(() => {
        this.#owed -= 1
      })
  }

  async #pay(rollout: Rollout): Promise<void> {
    try {
      await this.#of.settle(this.#lease, rollout, this.#signal)
    } catch (error) {
      if (this.#signal.aborted) return
      const facts = isFleetError(error) ? { code: error.code, error: error.message } : { error }
      this.#of.log.warn('the command after a rollout was not run', { rollout: rollout.id, ...facts })
    }
  }
}

function withoutReleases(observed: Observation): Observation {
  const { ledger } = observed
  return { ...observed, ledger: { ...ledger, requests: ledger.requests.filter(({ verb }) => verb !== 'release') } }
}

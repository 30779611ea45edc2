// Owns a small world in memory in which slots fire: a clock that jumps from wait to wait, a ring with one node, and rollouts that end at once.
import { memoryBoard } from '#adapters/memory/board.ts'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryLedger } from '#adapters/memory/ledger.ts'
import { memoryLocks } from '#adapters/memory/locks.ts'
import { memoryRecords, type Records } from '#adapters/memory/records.ts'
import { type Calendar, type Decided, runSlots, type SlotWorld } from '#conductor/shell/slots.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import type { CatalogEntry, Clock, Lease } from '#fleet/ports.ts'
import { readRollout, writeLine, writeRollout, writeStatus } from '#fleet/wire.ts'
import { APP, RING, SimNode, settledOn } from './rollout-sim.ts'
import { entryOf } from './wishes.ts'

/** Waits cost no time: each jumps to its end. Set anywhere, back too. */
export class JumpClock implements Clock {
  time: number
  constructor(time: number) {
    this.time = time
  }
  now(): number {
    return this.time
  }
  monotonic(): number {
    return this.time
  }
  random(): number {
    return 0.5
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    // Of a memory nothing is waited for: another turn of the loop is enough.
    await new Promise((resolve) => setImmediate(resolve))
    signal?.throwIfAborted()
    this.time += ms
  }
}

const keys = keysOf(DEFAULT_PREFIX, APP)
export const quietly = new AbortController().signal

export interface FiringWorld {
  readonly clock: JumpClock
  readonly records: Records
  readonly decided: Decided[]
  readonly world: SlotWorld
  /** `b1`, `b2`, … each newer than the one before. */
  publish(over?: Partial<CatalogEntry>): Promise<BuildId>
  hold(reason: string | null): void
  /** The open rollout comes to its end, and its build is good. */
  finish(): Promise<void>
  /** Another daemon: takes the lease from whoever holds it. */
  daemon(sinceMs: number): Promise<SlotWorld>
  /** Runs the loop until the clock is past a time. */
  run(calendar: () => Calendar, untilMs: number, world?: SlotWorld): Promise<void>
}

/** @param options.lasting rollouts stay open until `finish` */
export async function firingWorld(
  atMs: number,
  options: { readonly lasting?: boolean; readonly steady?: boolean; readonly auto?: boolean } = {},
): Promise<FiringWorld> {
  const records = memoryRecords()
  const clock = new JumpClock(atMs)
  const of = { app: APP, clock }
  const ledger = memoryLedger(records, of)
  const catalog = memoryCatalog(records, of)
  const locks = memoryLocks(records, of)
  await ledger.init([RING], quietly)
  const node = new SimNode('n1', settledOn(null, null, 0), null, null)
  records.put(keys.node(RING, 'n1'), writeStatus({ ...node.status(), ring: RING, at: '' }))
  const decided: Decided[] = []
  let published = 0
  let ids = 0

  async function publish(over: Partial<CatalogEntry> = {}): Promise<BuildId> {
    published += 1
    const build = `b${published}` as BuildId
    const createdAt = new Date(Date.UTC(2026, 0, 1) + published * 1_000).toISOString()
    await catalog.put(entryOf(build, { createdAt, ...over }), 0, quietly)
    return build
  }

  async function finish(): Promise<void> {
    const record = records.get(keys.rollout)
    if (record === null) return
    const rollout = readRollout(record.value)
    records.put(keys.rollout, writeRollout({ ...rollout, phase: 'done', endedAt: new Date(clock.time).toISOString() }))
    const found = await catalog.find(rollout.build, quietly)
    if (found === null) return
    const good = { ...found.entry.good, [RING]: new Date(clock.time).toISOString() }
    await catalog.put({ ...found.entry, good }, found.index, quietly)
  }

  function worldOf(lease: Lease, sinceMs: number): SlotWorld {
    return {
      ...{ app: APP, rings: [RING], ledger, board: memoryBoard(records, of), catalog, clock, lease },
      store: async () => null,
      policy: { maxUnavailable: 33, failureBudget: 10, waveMs: 60_000, allAtOnce: false },
      route: { steps: [{ ring: RING, autoRelease: options.auto === true }], slotMinutes: 40 },
      evidence: { required: [], checkout: null, afterRollout: null },
      by: 'conduct',
      zoneTables: '2026b',
      sinceMs,
      newId: () => {
        ids += 1
        return `r-${ids}`
      },
      tickMs: Number.MAX_SAFE_INTEGER,
      onDecided: (one) => void decided.push(one),
    }
  }

  async function daemon(sinceMs: number): Promise<SlotWorld> {
    const note = { holder: 'conduct', since: '', rollout: null, reason: 'serves' }
    const held = await locks.holder(quietly)
    const lease = held === null ? await locks.acquire(note, quietly) : await locks.fence(held.session, note, quietly)
    return worldOf(lease, sinceMs)
  }

  const first = await daemon(atMs)
  return {
    ...{ clock, records, decided, world: first, publish, finish, daemon },
    hold(reason) {
      const hold = { ring: null as Name | null, by: 'ben', reason: reason ?? '', at: '', expires: null }
      records.put(keys.hold, writeLine(reason === null ? [] : [hold]))
    },
    async run(calendar, untilMs, world = first) {
      const stop = new AbortController()
      const watched: SlotWorld = {
        ...world,
        clock: {
          now: () => clock.now(),
          monotonic: () => clock.monotonic(),
          random: () => clock.random(),
          async sleep(ms, signal) {
            if (options.lasting !== true) await finish()
            if (options.steady === true) await publish()
            if (clock.time + ms >= untilMs) {
              clock.time = untilMs
              stop.abort(new Error('the time is over'))
            }
            await clock.sleep(stop.signal.aborted ? 0 : ms, signal)
          },
        },
      }
      await runSlots(watched, calendar, stop.signal).catch((error: unknown) => {
        if (!stop.signal.aborted) throw error
      })
    },
  }
}

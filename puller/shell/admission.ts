// Owns which orders reach the machine: what the key holds is read, believed or not, made durable, and only then handed on.
import { createHash } from 'node:crypto'
import type { Digest } from '#fleet/build.ts'
import { describeError, type FleetError, isFleetError } from '#fleet/errors.ts'
import type { Trouble } from '#fleet/node-status.ts'
import type { Catalog, Clock, Logger, TargetFeed, TargetReading } from '#fleet/ports.ts'
import { admit, type BareOrder, type OrderMark, type Ratchet, type Target, targetOfBare } from '#fleet/target.ts'
import { type Order as Read, readOrder } from '#fleet/wire.ts'
import type { Order } from '../core/state.ts'
import { type Accepted, encodeAccepted, orderOf, type Reader } from './accepted.ts'
import type { Shelf } from './durable.ts'
import type { Trees } from './trees.ts'

/** Pauses between tries when Consul or the catalog must be asked again. */
const AGAIN = { floorMs: 500, ceilingMs: 15_000 }

export interface AdmissionWorld {
  readonly feed: TargetFeed
  readonly catalog: Pick<Catalog, 'find'>
  readonly trees: Pick<Trees, 'knows'>
  readonly ratchet: Shelf
  readonly clock: Clock
  readonly log: Logger
  /** The build that runs now, for sentences. */
  readonly running: () => string | null
}

export interface Admission {
  readonly accepted: () => Accepted
  /** What is wrong with Consul or with the record, now. */
  readonly troubles: () => readonly Trouble[]
  /** Watches until the signal aborts. `onOrder` gets every order that was accepted, `onNews` hears that troubles changed or Consul is back. */
  run(signal: AbortSignal, onOrder: (order: Order) => void, onNews: (back: boolean) => void): Promise<void>
}

/** What became of one reading. `again`: somebody must be asked first, and did not answer. */
type Considered = 'settled' | 'again'

export function openAdmission(start: Accepted, reader: Reader, world: AdmissionWorld): Admission {
  const { feed, log, clock } = world
  let accepted = start
  let record: Trouble | null = null
  let consul: Trouble | null = null
  /** Hash of the last record that was reported: one report per record. */
  let reported = ''
  let onOrder: (order: Order) => void = () => {}
  let onNews: (back: boolean) => void = () => {}

  const keeping = () => (world.running() === null ? 'nothing runs here yet' : `keeping ${world.running()}`)

  function reject(code: FleetError['code'], message: string, print: string): void {
    const key = `${code} ${print}`
    record = { code, message }
    if (key !== reported) {
      reported = key
      log.warn('target was not followed', { code, detail: message })
      onNews(false)
    }
  }

  function inOrder(): void {
    const had = record !== null
    record = null
    reported = ''
    if (had) {
      log.info('target is in order again', { generation: accepted.ratchet.generation })
      onNews(false)
    }
  }

  async function accept(order: Order, ratchet: Ratchet): Promise<void> {
    const next = { ...accepted, ratchet, order }
    // Durable before anything acts on it: after a crash nothing older can take its place.
    await world.ratchet.save(encodeAccepted(next))
    accepted = next
    record = null
    reported = ''
    const { generation, build, fallback, cutoff, rollout, recall } = order.target
    log.info('target accepted', { generation, build, fallback, cutoff, rollout, recall, bare: order.bare })
    onOrder(order)
  }

  /** A watch may be answered by a server that is behind: what would be told as a fault is first asked of the leader. */
  async function consider(reading: TargetReading, signal: AbortSignal): Promise<Considered> {
    if (reading.kind === 'absent') {
      if (reading.stale) return await confirmed(signal)
      reject('TARGET_GONE', `the target key is gone; ${keeping()}`, 'absent')
      return 'settled'
    }
    const print = createHash('sha256').update(reading.raw).digest('hex')
    let read: Read
    try {
      read = readOrder(reading.raw, reader)
    } catch (error) {
      if (!isFleetError(error)) throw error
      reject(error.code, `${error.message}; ${keeping()}`, print)
      return 'settled'
    }
    return read.kind === 'record'
      ? await considerRecord(read.target, reading, print, signal)
      : await considerBare(read.bare, reading, print, signal)
  }

  type Value = Extract<TargetReading, { kind: 'value' }>

  async function considerRecord(
    target: Target,
    reading: Value,
    print: string,
    signal: AbortSignal,
  ): Promise<Considered> {
    const { ratchet, order } = accepted
    const { generation } = target
    const { modifyIndex, stale } = reading
    const same = order !== null && !order.bare && JSON.stringify(order.target) === JSON.stringify(target)
    const admission = admit(ratchet, { kind: 'record', generation, modifyIndex, stale })
    if (admission.verdict === 'accept') {
      await accept(orderOf(target, reader, modifyIndex, false), admission.ratchet)
    } else if (same) {
      inOrder()
    } else if (order === null && generation === ratchet.generation) {
      // The order of this very generation could not be read from disk: this is it.
      await accept(orderOf(target, reader, modifyIndex, false), ratchet)
    } else if (stale) {
      return await confirmed(signal)
    } else {
      const why =
        generation === ratchet.generation
          ? `another record of generation ${generation} was accepted before: ignored`
          : `target generation ${generation} is below ${ratchet.generation} already accepted: ignored`
      reject('TARGET_REGRESSED', `${why}; ${keeping()}`, print)
    }
    return 'settled'
  }

  async function considerBare(
    bare: BareOrder,
    reading: Value,
    print: string,
    signal: AbortSignal,
  ): Promise<Considered> {
    const { modifyIndex, stale } = reading
    const mark: OrderMark = { kind: 'bare', generation: bare.generation, modifyIndex, stale }
    const admission = admit(accepted.ratchet, mark)
    switch (admission.verdict) {
      case 'confirm':
        return await confirmed(signal)
      case 'known':
      case 'regressed': {
        // In a rebuilt Consul another id may stand at the very index of the order in force: the same index alone is not the same order.
        if (admission.verdict === 'known' && accepted.order?.target.build === bare.build) {
          inOrder()
          return 'settled'
        }
        if (stale) return await confirmed(signal)
        const { generation, modifyIndex: seen } = accepted.ratchet
        const why = `the bare id ${bare.build} was written before what is in force (generation ${generation}, index ${seen}): ignored`
        reject('TARGET_REGRESSED', `${why}; write ${bare.build}@${generation + 1}; ${keeping()}`, print)
        return 'settled'
      }
      case 'accept': {
        const { generation } = admission.ratchet
        const manifest = await digestOf(bare, signal)
        if (manifest === null) {
          const why = `${bare.build} is neither in the catalog nor on this node, so its manifest is not known`
          reject('TARGET_UNRESOLVED', `${why}; ${keeping()}`, print)
          return 'again'
        }
        const at = new Date(clock.now()).toISOString()
        const target = targetOfBare(bare, { ...reader, generation, manifest, at })
        await accept(orderOf(target, reader, modifyIndex, true), admission.ratchet)
        return 'settled'
      }
    }
  }

  /** The manifest of a bare id: a sealed tree needs no Consul, so it is asked first. */
  async function digestOf(bare: BareOrder, signal: AbortSignal): Promise<Digest | null> {
    return (
      (await world.trees.knows(bare.build)) ?? (await world.catalog.find(bare.build, signal))?.entry.manifest ?? null
    )
  }

  async function confirmed(signal: AbortSignal): Promise<Considered> {
    return await consider(await feed.read(signal), signal)
  }

  /** Considers one reading until it is settled or a newer one aborts it. */
  async function settle(reading: TargetReading, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        if ((await consider(reading, signal)) === 'settled') return
      } catch (error) {
        if (signal.aborted) return
        if (!isFleetError(error)) throw error
        // Also a disk that cannot take the ratchet: the order stays outside, and the status says why.
        const message = `${describeError(error)}; ${keeping()}; trying again`
        const told = record?.code === error.code
        record = { code: error.code, message }
        log.warn('target could not be settled', { code: error.code, detail: message })
        if (!told) onNews(false)
      }
      const pauseMs = Math.min(AGAIN.ceilingMs, AGAIN.floorMs * 2 ** Math.min(attempt, 10))
      await clock.sleep(pauseMs * (0.5 + clock.random() / 2), signal).catch(() => undefined)
    }
  }

  function hear(error: FleetError, sinceMs: number): void {
    const told = consul?.code === error.code
    const message = `${error.message}; ${keeping()}; retrying`
    consul = { code: error.code, message }
    if (told) return
    log.warn('consul does not answer', { code: error.code, detail: message, sinceMs: Math.round(sinceMs) })
    onNews(false)
  }

  async function run(signal: AbortSignal, order: typeof onOrder, news: typeof onNews): Promise<void> {
    onOrder = order
    onNews = news
    let last = new AbortController()
    let work: Promise<void> = Promise.resolve()
    const bug = Promise.withResolvers<never>()
    const watching = async (): Promise<void> => {
      for await (const event of feed.watch(signal)) {
        if (event.type === 'trouble') {
          hear(event.error, event.sinceMs)
          continue
        }
        if (consul !== null) {
          consul = null
          log.info('consul answers again', {})
          onNews(true)
        }
        last.abort()
        last = new AbortController()
        const both = AbortSignal.any([signal, last.signal])
        work = work.then(() => settle(event.reading, both)).catch(bug.reject)
      }
    }
    await Promise.race([watching(), bug.promise])
    await work
  }

  return {
    accepted: () => accepted,
    troubles: () => [record, consul].filter((trouble) => trouble !== null),
    run,
  }
}

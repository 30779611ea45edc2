// Owns the history keys of an app: finding the newest among any number of them, and reading back from it.
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { ChainLink, HistoryEntry, LedgerView } from '#fleet/ports.ts'
import { readHistoryEntry } from '#fleet/wire.ts'
import type { ConsulClient, Entry } from './client.ts'

/** Keys asked about in one transaction; Consul takes 64 operations. */
const BATCH = 60

/** 2^40 events are more than an app will ever have. */
const POWERS = Array.from({ length: 41 }, (_, power) => 2 ** power)

type Tail = LedgerView['tail']

/**
 * The history of one app. Entries are numbered from 1 without a gap (each is created in the transaction that names its predecessor), so
 * the newest is found by asking which of some numbers exist, sixty to a transaction: three questions for any length, and no listing.
 */
export function historyOf(client: ConsulClient, app: string) {
  const keys = client.keys(app)
  let known = 0

  /** The highest of `seqs` that exists, or 0. */
  async function highest(seqs: readonly number[], signal: AbortSignal): Promise<number> {
    const descending = seqs.toSorted((a, b) => b - a)
    const checks = descending.map((seq) => ({ verb: 'check-not-exists', key: keys.historyEntry(seq) }) as const)
    const result = await client.transact(checks, signal)
    if (result.committed) return 0
    const place = Math.min(...result.refused.map((refused) => refused.operation))
    return descending[place] ?? 0
  }

  async function newest(signal: AbortSignal): Promise<number> {
    // What was the newest still exists: most often nothing or little came after it.
    const near = Array.from({ length: BATCH }, (_, step) => known + step + 1)
    let low = (await highest(near, signal)) || known
    if (low > 0 && low < known + BATCH) return low
    low = Math.max(low, await highest(POWERS, signal))
    let high = POWERS.find((power) => power > low) ?? 0
    while (high - low > 1) {
      const step = Math.max(1, Math.ceil((high - low) / BATCH))
      const seqs: number[] = []
      for (let seq = low + step; seq < high; seq += step) seqs.push(seq)
      if (seqs.length === 0) seqs.push(high - 1)
      const found = await highest(seqs, signal)
      const next = seqs.find((seq) => seq > found)
      if (next !== undefined) high = next
      low = Math.max(low, found)
      if (next === undefined && high - low <= 1) break
    }
    return low
  }

  return {
    /** The newest entry as it stands, or null when there is none. */
    async tail(signal: AbortSignal): Promise<Tail> {
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const seq = await newest(signal)
        if (seq === 0) return null
        const { value: entry } = await client.get(keys.historyEntry(seq), signal, { consistency: 'consistent' })
        if (entry !== null) {
          known = seq
          return { seq, raw: entry.value }
        }
        // Someone wiped the history below what we remember: look from the start.
        known = 0
      }
      throw new FleetError('CONSUL_BAD_ANSWER', `the history of ${app} has entries that cannot be read back`)
    },

    /** Newest first. Entries that cannot be read are left out and logged. */
    async list(limit: number, signal: AbortSignal): Promise<readonly HistoryEntry[]> {
      const tail = await this.tail(signal)
      const entries: HistoryEntry[] = []
      for (let seq = tail?.seq ?? 0; seq > 0 && entries.length < limit; seq -= BATCH) {
        const seqs = Array.from({ length: Math.min(BATCH, seq) }, (_, step) => seq - step)
        const found = await entriesAt(
          seqs.map((each) => keys.historyEntry(each)),
          signal,
        )
        if (found.length < seqs.length) {
          const missing = seqs.length - found.length
          client.log.warn('history has a gap', { app, error: `${missing} entries are missing at or below ${seq}` })
        }
        entries.push(...found.flatMap((entry) => readOr(entry.key, entry.value)))
      }
      return entries.slice(0, Math.max(0, limit))
    },

    /** By name and not by number: what stands beside the chain is seen too, and so is what follows a gap. */
    async *chain(signal: AbortSignal): AsyncGenerator<ChainLink> {
      const names = await client.names(keys.history, signal)
      for (let at = 0; at < names.length; at += BATCH) {
        const found = await entriesAt(names.slice(at, at + BATCH), signal)
        for (const { key, value } of found) yield { name: key.slice(keys.history.length), raw: value }
      }
    },
  }

  /** The entries of these keys, in their order, without those that are gone: a transaction that misses one reads none. */
  async function entriesAt(wanted: readonly string[], signal: AbortSignal): Promise<readonly Entry[]> {
    if (wanted.length === 0) return []
    const result = await client.transact(
      wanted.map((key) => ({ verb: 'get', key })),
      signal,
    )
    if (result.committed) return result.entries
    const gone = new Set(result.refused.map(({ operation }) => operation))
    const left = wanted.filter((_, place) => !gone.has(place))
    if (left.length === wanted.length) {
      throw new FleetError('CONSUL_BAD_ANSWER', `the history of ${app} was refused without saying which entry`)
    }
    return entriesAt(left, signal)
  }

  function readOr(key: string, raw: Uint8Array): readonly HistoryEntry[] {
    try {
      return [readHistoryEntry(raw)]
    } catch (error) {
      if (!isFleetError(error)) throw error
      client.log.warn('history entry was rejected', { key, code: error.code, error: error.message })
      return []
    }
  }
}

// Owns reading the history of an app as it grows: all of it once, a few entries at a time, and then what is new.
import { isFleetError } from '#fleet/errors.ts'
import type { ChainLink, HistoryEntry, Ledger } from '#fleet/ports.ts'
import { readHistoryEntry } from '#fleet/wire.ts'

/** Entries told at once: a history of years is never in memory as a whole. */
const BATCH = 60

export interface HistoryReader {
  /**
   * Tells what was not told yet; the first time from the beginning. When it fails, the next time begins where it must, and may tell
   * entries again.
   * @throws FleetError of kind transient or refused; the signal's reason
   */
  catchUp(signal: AbortSignal): Promise<void>
}

/** @param tell is given entries in any order; `onWhole` is called once, when all that there were have been told */
export function historyReader(
  ledger: Pick<Ledger, 'chain' | 'history'>,
  tell: (entries: readonly HistoryEntry[]) => void,
  onWhole: () => void,
): HistoryReader {
  /** Number of the newest entry that was told; null before the whole of it was. */
  let known: number | null = null

  async function whole(signal: AbortSignal): Promise<void> {
    let newest = 0
    let batch: HistoryEntry[] = []
    for await (const link of ledger.chain(signal)) {
      const entry = entryOf(link)
      if (entry === null) continue
      newest = Math.max(newest, entry.seq)
      batch.push(entry)
      if (batch.length < BATCH) continue
      tell(batch)
      batch = []
    }
    tell(batch)
    known = newest
    onWhole()
  }

  async function more(since: number, signal: AbortSignal): Promise<void> {
    for (let limit = BATCH; ; limit *= 4) {
      const entries = await ledger.history(limit, signal)
      const oldest = entries.at(-1)?.seq ?? 0
      if (entries.length === limit && oldest > since + 1) continue
      tell(entries.filter(({ seq }) => seq > since))
      known = Math.max(since, entries[0]?.seq ?? 0)
      return
    }
  }

  return { catchUp: (signal) => (known === null ? whole(signal) : more(known, signal)) }
}

/** Null for what is no entry, or cannot be read: `conduct audit verify` is there to say so. */
function entryOf({ name, raw }: ChainLink): HistoryEntry | null {
  if (!/^\d{12}$/.test(name)) return null
  try {
    return readHistoryEntry(raw)
  } catch (error) {
    if (isFleetError(error)) return null
    throw error
  }
}

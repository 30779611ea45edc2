// Owns measuring a store: every request of it is reported with its outcome and how long it took, until its last byte.
import { isFleetError } from '#fleet/errors.ts'
import type { BuildStore, Clock } from '#fleet/ports.ts'

/** A finished request, for metrics: `outcome` is `ok`, `cancelled` (also by a reader that has seen enough), an error code or `error`. */
export interface StoreReport {
  readonly kind: 'find' | 'read' | 'create' | 'list' | 'remove'
  readonly outcome: string
  readonly ms: number
}

/** The same store, with a word to `report` about everything that was asked of it. */
export function measuredStore(store: BuildStore, clock: Clock, report: (report: StoreReport) => void): BuildStore {
  function begin(kind: StoreReport['kind'], signal: AbortSignal) {
    const began = clock.monotonic()
    return (error: unknown, outcome = outcomeOf(error, signal)) =>
      report({ kind, outcome, ms: clock.monotonic() - began })
  }
  async function once<result>(kind: StoreReport['kind'], work: Promise<result>, signal: AbortSignal): Promise<result> {
    const finished = begin(kind, signal)
    try {
      const result = await work
      finished(null)
      return result
    } catch (error) {
      finished(error)
      throw error
    }
  }
  async function* through<part>(kind: StoreReport['kind'], parts: AsyncIterable<part>, signal: AbortSignal) {
    const finished = begin(kind, signal)
    let outcome: string | undefined = 'cancelled'
    let failure: unknown = null
    try {
      yield* parts
      outcome = 'ok'
    } catch (error) {
      failure = error
      outcome = undefined
      throw error
    } finally {
      finished(failure, outcome)
    }
  }
  return {
    find: (name, signal) => once('find', store.find(name, signal), signal),
    read: (name, how, signal) => through('read', store.read(name, how, signal), signal),
    create: (name, body, signal) => once('create', store.create(name, body, signal), signal),
    list: (prefix, signal) => through('list', store.list(prefix, signal), signal),
    remove: (name, signal) => once('remove', store.remove(name, signal), signal),
  }
}

function outcomeOf(error: unknown, signal: AbortSignal): string {
  if (error === null) return 'ok'
  if (signal.aborted) return 'cancelled'
  return isFleetError(error) ? error.code : 'error'
}

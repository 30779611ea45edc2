// Owns blocking queries: what a reading depends on, and waiting until that changes or the time is over.
import type { Clock } from '#fleet/ports.ts'
import type { Change, State } from './state.ts'

/** What can change a reading: one key, all keys below a prefix, one session, all sessions. */
export type Scope =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'prefix'; readonly prefix: string }
  | { readonly kind: 'session'; readonly id: string }
  | { readonly kind: 'sessions' }

export interface Reading<value> {
  readonly value: value
  readonly index: number
  readonly scope: Scope
}

/** What a client asks to wait for: an index above `index` (0: do not wait), for at most `waitMs`. */
export interface Wish {
  readonly index: number
  readonly waitMs: number
}

function covers(scope: Scope, change: Change): boolean {
  switch (scope.kind) {
    case 'key':
      return change.keys.includes(scope.key)
    case 'prefix':
      return change.keys.some((key) => key.startsWith(scope.prefix))
    case 'session':
      return change.sessions.includes(scope.id)
    case 'sessions':
      return change.sessions.length > 0
  }
}

/**
 * What wakes a reader of something that is not there. Consul watches the finest node of its tree on the way to the name: every write
 * to a name that shares as much with it as any key does wakes the reader. That is why a missing target key costs so much.
 */
export function scopeOfMissing(state: State, name: string): Scope {
  let longest = 0
  for (const key of state.entries.keys()) {
    let shared = 0
    while (shared < key.length && shared < name.length && key[shared] === name[shared]) shared += 1
    if (shared > longest) longest = shared
  }
  return { kind: 'prefix', prefix: name.slice(0, longest) }
}

interface Waiter {
  readonly scope: Scope
  readonly wake: () => void
}

/** Everybody who waits. */
export class Waiters {
  readonly #waiters = new Set<Waiter>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  notify(change: Change): void {
    for (const waiter of [...this.#waiters]) if (covers(waiter.scope, change)) waiter.wake()
  }

  /** The reading once its index is above the wish's, or as it last was when the time is over or the client has gone. */
  async settle<value>(read: () => Reading<value>, wish: Wish, signal: AbortSignal): Promise<Reading<value>> {
    let reading = read()
    if (wish.index === 0) return reading
    // Consul adds up to a sixteenth, so that many clients do not come back at once.
    const waitMs = wish.waitMs + (wish.waitMs / 16) * this.#clock.random()
    const end = this.#clock.monotonic() + waitMs
    while (reading.index <= wish.index && !signal.aborted) {
      const leftMs = end - this.#clock.monotonic()
      if (leftMs <= 0 || !(await this.#changed(reading.scope, leftMs, signal))) return reading
      reading = read()
    }
    return reading
  }

  #changed(scope: Scope, limitMs: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = new AbortController()
      const finish = (changed: boolean) => {
        this.#waiters.delete(waiter)
        signal.removeEventListener('abort', gone)
        timer.abort()
        resolve(changed)
      }
      const gone = () => finish(false)
      const waiter = { scope, wake: () => finish(true) }
      this.#waiters.add(waiter)
      signal.addEventListener('abort', gone, { once: true })
      this.#clock.sleep(limitMs, timer.signal).then(gone, () => {})
    })
  }
}

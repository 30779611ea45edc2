// Owns a clock that goes on by itself and can be set: whoever sleeps past the new time wakes at once.
import type { Clock } from '#fleet/ports.ts'

export class SetClock implements Clock {
  #baseMs: number
  #sinceMs = performance.now()
  readonly #sleepers = new Set<() => void>()

  constructor(atMs: number) {
    this.#baseMs = atMs
  }

  /** Forward only, as far as sleepers can tell. */
  set(atMs: number): void {
    this.#baseMs = atMs
    this.#sinceMs = performance.now()
    for (const look of [...this.#sleepers]) look()
  }

  now(): number {
    return this.#baseMs + performance.now() - this.#sinceMs
  }

  monotonic(): number {
    return this.now()
  }

  random(): number {
    return Math.random()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const dueMs = this.now() + ms
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      let timer: NodeJS.Timeout | undefined
      const end = (settle: () => void): void => {
        clearTimeout(timer)
        this.#sleepers.delete(look)
        signal?.removeEventListener('abort', cut)
        settle()
      }
      const cut = (): void => end(() => reject(signal?.reason))
      const look = (): void => {
        clearTimeout(timer)
        const leftMs = dueMs - this.now()
        if (leftMs <= 0) end(resolve)
        else timer = setTimeout(look, Math.min(leftMs, 60_000))
      }
      this.#sleepers.add(look)
      signal?.addEventListener('abort', cut, { once: true })
      look()
    })
  }
}

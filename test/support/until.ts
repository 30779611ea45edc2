// Owns waiting in tests: for a condition, with a limit, never for a time.
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Calls `probe` until it answers something other than false, null or undefined, and returns that.
 * @throws with `what`, and the last error of the probe as its cause, when `limitMs` is over
 */
export async function until<value>(
  what: string,
  probe: () => value | Promise<value>,
  limitMs = 60_000,
): Promise<Exclude<value, false | null | undefined>> {
  const end = performance.now() + limitMs
  let last: unknown
  for (;;) {
    try {
      const value = await probe()
      if (value !== false && value !== null && value !== undefined)
        return value as Exclude<value, false | null | undefined>
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain: ${what}`, { cause: last })
    await delay(10)
  }
}

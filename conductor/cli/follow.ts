// Owns watching without driving: the same picture that the driver has, again and again, until it shows what is waited for.

import type { Picture } from '#conductor/core/picture.ts'
import { Bell, isPassing } from '#conductor/shell/observe.ts'
import { look } from './verbs.ts'
import type { Bench } from './world.ts'

const TICK_MS = 1_000

/** Calls `done` with each picture until it says so, the time is over, or the person stops it. Returns the last picture. */
export async function follow(bench: Bench, timeoutMs: number, done: (picture: Picture) => boolean): Promise<Picture> {
  const { ports, rings, clock, signal, report } = bench
  const inner = new AbortController()
  const both = AbortSignal.any([signal, inner.signal])
  const end = clock.monotonic() + timeoutMs
  const bell = new Bell(ports.board, rings, clock, TICK_MS, both)
  let last: Picture | null = null
  let told = false
  try {
    for (;;) {
      try {
        last = (await look(bench)).picture
        told = false
        if (done(last)) return last
      } catch (error) {
        both.throwIfAborted()
        if (!isPassing(error)) throw error
        if (!told) report.say(`${error.message}; trying again.`)
        told = true
      }
      if (last !== null && clock.monotonic() > end) return last
      await bell.wait(both)
    }
  } finally {
    inner.abort()
  }
}

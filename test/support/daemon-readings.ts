// Owns what a daemon would say of itself at a scrape, where a test has none.
import type { Readings } from '#conductor/metrics.ts'

/** A daemon that leads, is ready, and has no calendar. */
export function readings(over: Partial<Readings> = {}): Readings {
  return { leads: () => true, ready: () => true, viewAgeMs: () => 0, clients: () => 0, nextSlotMs: () => null, ...over }
}

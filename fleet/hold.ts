// Owns the line of an app and its holds: an operator's stop for the whole app or one ring, with a reason and perhaps an end.
import type { Name } from './build.ts'

/** One stop of the line. While it counts nothing advances there; taking a build back always may. */
export interface LineHold {
  /** Null: every ring of the app. */
  readonly ring: Name | null
  readonly by: string
  readonly reason: string
  readonly at: string
  /** ISO 8601; null: until it is lifted. */
  readonly expires: string | null
}

/** A time that nobody can read ends nothing: someone meant to stop the line. @param nowMs milliseconds since 1970 */
export function hasExpired({ expires }: Pick<LineHold, 'expires'>, nowMs: number): boolean {
  return expires !== null && Date.parse(expires) <= nowMs
}

/** The holds that count for a ring now. @param nowMs milliseconds since 1970 */
export function holdsOn(line: readonly LineHold[], ring: Name, nowMs: number): readonly LineHold[] {
  return line.filter((hold) => (hold.ring === null || hold.ring === ring) && !hasExpired(hold, nowMs))
}

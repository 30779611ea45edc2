// Owns how long to wait before trying again: full jitter, and a token bucket for loops that must not spin.

/** Bounds of a backoff, in milliseconds. */
export interface Backoff {
  readonly floorMs: number
  readonly ceilingMs: number
}

/**
 * Full jitter: uniform between the floor and min(ceiling, floor × 2^attempt), so that many clients that failed together come back apart.
 * @param attempt 0 for the first wait
 * @param random uniform in [0, 1)
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  const top = Math.min(backoff.ceilingMs, backoff.floorMs * 2 ** Math.min(attempt, 30))
  return Math.round(backoff.floorMs + (top - backoff.floorMs) * random)
}

/** A bucket that holds at most `burst` tokens and regains one each `refillMs`. */
export interface Bucket {
  readonly burst: number
  readonly refillMs: number
}

/** What is left in a bucket, and when that was so (monotonic milliseconds). */
export interface BucketLevel {
  readonly tokens: number
  readonly atMs: number
}

/**
 * Takes one token at `nowMs`. Returns the level afterwards and how long the taker must wait first (0 when a token was there):
 * tokens may go negative, so takers queue up instead of all waking at once.
 */
export function takeToken(bucket: Bucket, level: BucketLevel, nowMs: number): { level: BucketLevel; waitMs: number } {
  const regained = Math.max(0, nowMs - level.atMs) / bucket.refillMs
  const tokens = Math.min(bucket.burst, level.tokens + regained) - 1
  return { level: { tokens, atMs: nowMs }, waitMs: tokens >= 0 ? 0 : Math.ceil(-tokens * bucket.refillMs) }
}

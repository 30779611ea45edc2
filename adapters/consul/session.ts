// Owns keeping a session alive: renewing it in time, and saying when it can no longer be counted on.
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { ConsulClient } from './client.ts'

export interface Upkeep {
  readonly ttlSeconds: number
  /** Between two renewals, in milliseconds. */
  readonly everyMs: number
  /** Without a good renewal for this long the session counts as lost; null: only Consul's word ends it. */
  readonly loseAfterMs: number | null
}

/**
 * Renews `id` until the signal aborts or the session is lost, and then returns why: `gone` when Consul says so, `late` when `loseAfterMs`
 * passed on our own clock since the last good renewal *began* (Consul counts from when it arrived, which is later).
 * @param since when the session was asked for, if that was not now
 */
export async function keepAlive(
  client: ConsulClient,
  id: string,
  upkeep: Upkeep,
  signal: AbortSignal,
  since = client.clock.monotonic(),
): Promise<'gone' | 'late' | 'ended'> {
  const { clock } = client
  const lostAt = () => (upkeep.loseAfterMs === null ? Number.POSITIVE_INFINITY : goodAt + upkeep.loseAfterMs)
  let goodAt = since
  let pauseMs = upkeep.everyMs
  for (;;) {
    try {
      await clock.sleep(Math.max(0, Math.min(pauseMs, lostAt() - clock.monotonic())), signal)
      const began = clock.monotonic()
      if (began >= lostAt()) return 'late'
      // A fifth of the TTL for one try: a dead connection must leave time for another.
      const alive = await client.renewSession(id, signal, Math.min(upkeep.ttlSeconds * 200, lostAt() - began))
      if (!alive) return 'gone'
      goodAt = began
      pauseMs = upkeep.everyMs * (0.9 + 0.2 * clock.random())
    } catch (error) {
      if (signal.aborted) return 'ended'
      if (!isFleetError(error)) throw error
      client.log.debug('session was not renewed', { session: id, code: error.code, error: error.message })
      pauseMs = Math.min(upkeep.everyMs, 500 + 500 * clock.random())
    }
  }
}

/** Ends a session without ever throwing: what cannot be ended dies of its TTL. @param limitMs how long this may take */
export async function endSession(client: ConsulClient, id: string, limitMs: number): Promise<void> {
  const limit = new AbortController()
  const end = new AbortController()
  client.clock.sleep(limitMs, end.signal).then(
    () => limit.abort(new FleetError('CONSUL_STALLED', 'the session could not be ended in time')),
    () => undefined,
  )
  try {
    await client.destroySession(id, limit.signal)
  } catch (error) {
    const facts = isFleetError(error) ? { code: error.code, error: error.message } : { error: String(error) }
    client.log.warn('session was left to its ttl', { session: id, ...facts })
  } finally {
    end.abort()
  }
}

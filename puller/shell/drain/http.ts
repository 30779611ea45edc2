// Owns the drain kind `http`: the application says how much is in flight.
import { describeError } from '#fleet/errors.ts'
import { type Answer, ask } from '../ask.ts'
import type { Gauge, GaugeWorld } from './gauge.ts'

const ASK_MS = 5_000

/** Asks by GET. Idle is 204, the JSON number 0, or `{"active": 0}`; everything else, and no answer, is busy. */
export function httpGauge(
  config: { readonly url: string; readonly headers?: Readonly<Record<string, string>> | undefined },
  world: GaugeWorld,
): Gauge {
  return {
    async read(budgetMs, signal) {
      const options = { headers: config.headers, timeoutMs: Math.min(ASK_MS, budgetMs) }
      try {
        const busy = inFlight(await ask(config.url, options, signal))
        return busy === null ? null : `${config.url} ${busy}`
      } catch (error) {
        signal.throwIfAborted()
        return `${config.url} did not answer: ${describeError(error)}`
      }
    },
    pause: (ms, signal) => world.clock.sleep(ms, signal),
    [Symbol.asyncDispose]: async () => {},
  }
}

/** Null when the answer says idle, else what it says. */
function inFlight(answer: Answer): string | null {
  if (answer.status === 204) return null
  if (answer.status !== 200) return `answered ${answer.status}`
  const count = countIn(answer.body)
  if (count === null) return 'gave neither a number nor {"active": a number}'
  return count === 0 ? null : `says ${count} in flight`
}

function countIn(body: string): number | null {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return null
  }
  if (typeof value === 'object' && value !== null && 'active' in value) value = value.active
  // A negative count is a bug of the application's: it proves nothing.
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}

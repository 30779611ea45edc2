// Owns the drain kind `command`: a command of the operator's says whether anything is in flight.
import { formatDuration } from '#fleet/duration.ts'
import { describeError } from '#fleet/errors.ts'
import { runChild } from '../child.ts'
import { ending, hookVariables, lastWords } from '../hooks.ts'
import type { Gauge, GaugeContext, GaugeWorld } from './gauge.ts'

/** Longest time one run may take: it is a question, not the wait itself. */
const RUN_MS = 10_000
/** What still runs then gets this long between TERM and KILL. */
const GRACE_MS = 1_000
const BUSY = 75

/** Exit 0 is idle, 75 is busy, any other end is busy and reported. */
export function commandGauge(
  config: { readonly argv: readonly string[] },
  ctx: GaugeContext,
  world: GaugeWorld,
): Gauge {
  const env = { ...process.env, ...hookVariables(ctx.env) }
  return {
    async read(budgetMs, signal) {
      const timeoutMs = Math.min(RUN_MS, budgetMs)
      const order = { what: 'the drain command', argv: config.argv, cwd: ctx.root, env, timeoutMs, graceMs: GRACE_MS }
      try {
        const end = await runChild(order, world.clock, signal)
        if (end.by === 'timeout') return `the drain command did not end within ${formatDuration(timeoutMs)}`
        if (end.code === 0) return null
        if (end.code === BUSY) return `the drain command says busy${lastWords(end.output)}`
        return `the drain command ${ending(end)}, which says neither idle nor busy${lastWords(end.output)}`
      } catch (error) {
        signal.throwIfAborted()
        return describeError(error)
      }
    },
    pause: (ms, signal) => world.clock.sleep(ms, signal),
    [Symbol.asyncDispose]: async () => {},
  }
}

// Owns looking at one thing: it ends by its limit, and whatever it throws is a fact like any other.
import type { Looked } from '#conductor/core/finding.ts'
import { describeError, isFleetError } from '#fleet/errors.ts'

/**
 * What `work` finds, or how it failed. Ends by the limit even where the work hears no signal (a dead network file system).
 * @throws only the signal's reason
 */
export async function look<value>(
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<value>,
): Promise<Looked<value>> {
  const late = AbortSignal.timeout(limitMs)
  const either = AbortSignal.any([signal, late])
  const { promise: over, reject } = Promise.withResolvers<never>()
  const end = (): void => reject(either.reason)
  either.addEventListener('abort', end)
  try {
    signal.throwIfAborted()
    return { kind: 'seen', value: await Promise.race([work(either), over]) }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (late.aborted) return { kind: 'failed', code: 'late', detail: `There was no answer within ${limitMs / 1_000} s` }
    return failed(error)
  } finally {
    either.removeEventListener('abort', end)
  }
}

function failed(error: unknown): Looked<never> {
  const code = isFleetError(error)
    ? error.code
    : error instanceof Error && 'code' in error
      ? String(error.code)
      : 'fault'
  const detail = isFleetError(error) ? error.message : describeError(error)
  return {
    kind: 'failed',
    code,
    detail: detail
      .replace(/^fetch failed: /, '')
      .replace(/; (?:retrying|reconnecting)$/, '')
      .replace(/\.$/, ''),
  }
}

// Owns reading the body of an answer: whole or not at all, and never waiting for ever (failures B4, B5).
import type { Readable } from 'node:stream'
import { FleetError, isFleetError } from '#fleet/errors.ts'

/** What a body must be. */
export interface Expected {
  /** Exactly so many bytes. */
  readonly bytes: number
  /** No longer than this between two pieces, in milliseconds. */
  readonly stallMs: number
  /** For messages: what is read, and where. */
  readonly what: string
}

/**
 * The pieces of a body. Time in which the reader does not ask for more does not count as a stall.
 * @throws FleetError `STORE_STALLED` · `STORE_UNREACHABLE` when it ends early or breaks · `STORE_BAD_ANSWER` when it is longer; the signal's reason
 */
export async function* readBody(body: Readable, expected: Expected, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { bytes, stallMs, what } = expected
  const onAbort = () => body.destroy(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  const pieces: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]()
  let got = 0
  try {
    signal.throwIfAborted()
    for (;;) {
      const piece = await within(stallMs, pieces.next(), () => {
        const stalled = new FleetError(
          'STORE_STALLED',
          `${what} sent no byte for ${stallMs / 1_000} s, at byte ${got} of ${bytes}`,
        )
        body.destroy(stalled)
        return stalled
      })
      if (piece.done) break
      got += piece.value.byteLength
      if (got > bytes)
        throw new FleetError('STORE_BAD_ANSWER', `${what} is longer than the ${bytes} bytes it should be`)
      yield piece.value
    }
    if (got < bytes) throw new FleetError('STORE_UNREACHABLE', `${what} ended at byte ${got} of ${bytes}`)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (isFleetError(error)) throw error
    throw new FleetError('STORE_UNREACHABLE', `${what} broke off at byte ${got} of ${bytes}`, { cause: error })
  } finally {
    signal.removeEventListener('abort', onAbort)
    // An answer that was not read to its end would hold its socket.
    body.on('error', () => undefined).destroy()
  }
}

/** `promise`, or what `late` gives when it took too long. */
async function within<value>(limitMs: number, promise: Promise<value>, late: () => Error): Promise<value> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late()), limitMs)
  })
  promise.catch(() => undefined)
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer))
}

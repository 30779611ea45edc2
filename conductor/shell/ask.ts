// Owns one HTTP question of a gate: a fresh connection, a limit, a capped answer, and no redirects.
import type { IncomingMessage } from 'node:http'
import { request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import type { HttpAnswer } from '#conductor/core/answer.ts'
import { FleetError } from '#fleet/errors.ts'

const BODY_BYTES = 1024 * 1024

/**
 * Asks once by GET. A connection of its own: a kept one would go on reaching the process that accepted it, and that may be the old build.
 * @throws FleetError `GATE_NO_ANSWER` when there is no whole answer within `timeoutMs`; the signal's reason
 */
export function ask(
  url: string,
  options: { readonly headers: Readonly<Record<string, string>>; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const limit = AbortSignal.timeout(Math.max(1, Math.ceil(options.timeoutMs)))
  const { host } = new URL(url)
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      if (signal.aborted) reject(signal.reason)
      else if (cause instanceof FleetError) reject(cause)
      else if (limit.aborted)
        reject(new FleetError('GATE_NO_ANSWER', `${host} gave no whole answer within ${options.timeoutMs} ms`))
      else reject(new FleetError('GATE_NO_ANSWER', `${host} cannot be reached`, { cause }))
    }
    const either = AbortSignal.any([signal, limit])
    const send = url.startsWith('https:') ? overHttps : overHttp
    const request = send(url, { agent: false, headers: options.headers, signal: either }, (response) => {
      read(response, host).then((body) => {
        resolve({ status: response.statusCode ?? 0, body })
        request.destroy()
      }, fail)
    })
    request.on('error', fail)
    request.end()
  })
}

async function read(response: IncomingMessage, host: string): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > BODY_BYTES) {
      response.destroy()
      throw new FleetError('GATE_NO_ANSWER', `${host} answered with more than ${BODY_BYTES} bytes`)
    }
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

// Owns one HTTP question to an application on this machine: a fresh connection, a limit, a capped answer.
import type { IncomingMessage } from 'node:http'
import { request as overHttps } from 'node:https'

// Not imported: see docs/decisions/0013.
const { request: overHttp } = process.getBuiltinModule('node:http')

/** A complete answer. Redirects are answers too: they are not followed. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The first 64 KiB. */
  readonly body: string
}

const BODY_BYTES = 64 * 1024

/**
 * Asks once. Always over a new connection that is closed afterwards: a kept one would go on reaching the process that accepted it,
 * which after a restart is the old one, and would count as one of the connections it waits for.
 * @throws Error when there is no complete answer within `timeoutMs`, or when the signal fires
 */
export function ask(
  url: string,
  options: { readonly headers?: Readonly<Record<string, string>> | undefined; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Not the `timeout` option of node:http: that one is about silence, and an answer may drip for ever.
    const limit = AbortSignal.timeout(Math.max(1, Math.ceil(options.timeoutMs)))
    const either = AbortSignal.any([signal, limit])
    const fail = (cause: unknown) => {
      if (signal.aborted) reject(signal.reason)
      else if (limit.aborted) reject(new Error(`no answer within ${Math.ceil(options.timeoutMs)} ms`))
      else reject(cause)
    }
    const send = url.startsWith('https:') ? overHttps : overHttp
    const request = send(url, { agent: false, headers: { ...options.headers }, signal: either }, (response) => {
      read(response).then((body) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
        request.destroy()
      }, fail)
    })
    request.on('error', fail)
    request.end()
  })
}

async function read(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= BODY_BYTES) break
  }
  return Buffer.concat(chunks).subarray(0, BODY_BYTES).toString('utf8')
}

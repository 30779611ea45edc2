// Owns connecting tests to a Consul: a client with a clock of the test's choice, its log lines kept, closed when the test is over.
import type { TestContext } from 'node:test'
import { type ConsulClient, type ConsulOptions, connectConsul, type RequestReport } from '#adapters/consul/client.ts'
import type { Facts, Logger } from '#fleet/ports.ts'
import { hurried } from './hurry.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly facts: Facts
}

/** A logger that keeps its lines. */
function keptLog(): Logger & { readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = []
  const at =
    (level: LogLine['level']) =>
    (message: string, facts: Facts = {}) =>
      void lines.push({ level, message, facts })
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export interface Connected {
  readonly client: ConsulClient
  readonly log: ReturnType<typeof keptLog>
  readonly requests: readonly RequestReport[]
  /** Aborted when the test is over. */
  readonly signal: AbortSignal
}

/** A client of the Consul at `options.url`. @param options.factor how fast its clock runs, 1 unless told */
export function connect(
  t: Pick<TestContext, 'after'>,
  options: ConsulOptions & { readonly factor?: number },
): Connected {
  const log = keptLog()
  const requests: RequestReport[] = []
  const over = new AbortController()
  const clock = hurried(options.factor ?? 1)
  const client = connectConsul(options, { clock, log, onRequest: (report) => void requests.push(report) })
  t.after(() => {
    over.abort(new Error('the test is over'))
    client.close()
  })
  return { client, log, requests, signal: over.signal }
}

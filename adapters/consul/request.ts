// Owns sending one request through the package: it ends by its deadline, can be cancelled, and fails with an error of ours.
import { FleetError } from '#fleet/errors.ts'
import type { Clock, Logger } from '#fleet/ports.ts'
import { failureOf } from './answers.ts'
import {
  type Call,
  type ConsulOptions,
  type ConsulPackage,
  Context,
  openTransport,
  type Response,
} from './transport.ts'

/** A finished request, for metrics: `kind` is a verb, `outcome` is `ok`, `cancelled` or an error code. */
export interface RequestReport {
  readonly kind: string
  readonly outcome: string
  readonly ms: number
}

export interface ConsulWorld {
  readonly clock: Clock
  readonly log: Logger
  readonly onRequest?: (report: RequestReport) => void
}

/** One call of the package. It must pass `common` on. */
export type Send = (consul: ConsulPackage, common: { readonly ctx: Context }) => Call

export interface Limits {
  readonly deadlineMs?: number
  /** An idempotent read: sent once more at once when the connection breaks. */
  readonly again?: boolean
  /** Failed statuses with which Consul says what became of the request: returned instead of thrown. */
  readonly expect?: readonly number[]
}

/** Sends requests to one Consul. @throws what `ConsulClient` promises */
export interface Requests {
  send(kind: string, send: Send, signal: AbortSignal, limits?: Limits): Promise<Response>
  close(): void
}

/** Why a deadline is called off. Without a reason, each would be an exception with a stack. */
const SETTLED = 'settled'

/** A default read without a quorum takes Consul 7 s to fail; this lets it say so. */
const DEADLINE_MS = 10_000

/** @throws FleetError `CONFIG_INVALID` */
export function openRequests(options: ConsulOptions, world: ConsulWorld): Requests {
  const consul = openTransport(options)
  const { clock } = world
  const where = new URL(options.url).host

  /** Settles by `deadlineMs` whatever the package does, and then the socket is destroyed. */
  async function settle(kind: string, send: Send, signal: AbortSignal, deadlineMs: number): Promise<Response> {
    signal.throwIfAborted()
    const context = new Context()
    const over = new AbortController()
    const answer = Promise.withResolvers<Response>()
    const giveUp = () => answer.reject(signal.reason)
    const began = clock.monotonic()
    signal.addEventListener('abort', giveUp)
    try {
      clock.sleep(deadlineMs, over.signal).then(
        () => {
          const seconds = Math.round((clock.monotonic() - began) / 1_000)
          answer.reject(new FleetError('CONSUL_STALLED', `${kind} stalled for ${seconds} s at ${where}; reconnecting`))
        },
        () => undefined,
      )
      send(consul, { ctx: context }).then(([response]) => answer.resolve(response), answer.reject)
      return await answer.promise
    } finally {
      signal.removeEventListener('abort', giveUp)
      over.abort(SETTLED)
      // After an answer this reaches nobody; otherwise it destroys the socket, which ends what a blocking query holds on our side.
      context.cancel()
    }
  }

  async function send(kind: string, call: Send, signal: AbortSignal, limits: Limits = {}): Promise<Response> {
    const { deadlineMs = DEADLINE_MS, again = false, expect = [] } = limits
    const began = clock.monotonic()
    const report = (outcome: string) =>
      world.onRequest?.({ kind: kind.split(' ')[0] ?? kind, outcome, ms: clock.monotonic() - began })
    try {
      const response = await settle(kind, call, signal, deadlineMs)
      report('ok')
      return response
    } catch (thrown) {
      if (signal.aborted) {
        report('cancelled')
        throw signal.reason
      }
      const failure = failureOf(thrown, kind, where)
      if (failure.response !== null && expect.includes(failure.response.statusCode)) {
        report('ok')
        return failure.response
      }
      report(failure.error.code)
      // Once, at once: a kept-alive connection that the other side closed meanwhile says nothing about Consul's health.
      if (failure.broken && again) return send(kind, call, signal, { ...limits, again: false })
      throw failure.error
    }
  }

  return { send, close: () => consul.destroy() }
}

// Owns what `conduct doctor` asks of Consul beside the ports: its agent and leader, and rights, by transactions that leave nothing behind.
import { FleetError } from '#fleet/errors.ts'
import { jsonOf } from './answers.ts'
import type { ConsulClient, Operation } from './client.ts'
import type { Call, ConsulPackage, Context, Response } from './transport.ts'

type Asking = ConsulPackage & {
  readonly agent: { self(query: { readonly ctx: Context }): Call }
  readonly status: { leader(query: { readonly ctx: Context }): Call }
}

/** Sessions below 10 s are refused by Consul. */
const SESSION_SECONDS = 10
/** Consul takes 64 operations in a transaction; two are ours. */
const MOST_KEYS = 60

/** Questions to one Consul, each ended by its signal. Every method throws what `ConsulClient` throws. */
export function consulProbe(client: ConsulClient) {
  const { clock } = client
  const scratch = { value: new TextEncoder().encode('conduct doctor') }

  return {
    /** Who leads, as far as Consul knows (empty: nobody), how long the answer took, and Consul's clock less ours. */
    async leader(signal: AbortSignal) {
      const send = (consul: ConsulPackage, common: { readonly ctx: Context }) =>
        (consul as Asking).status.leader({ ...common })
      // The first question also opens the connection: the second is what a round trip costs.
      await client.call('leader', send, signal)
      const began = clock.monotonic()
      const response = await client.call('leader', send, signal)
      const roundTripMs = clock.monotonic() - began
      const leader = jsonOf(response, 'leader')
      if (typeof leader !== 'string') throw new FleetError('CONSUL_BAD_ANSWER', 'leader was not answered with a name')
      return { leader, roundTripMs, aheadMs: aheadOf(response, clock.now()) }
    },

    /** What the agent says of itself; needs `agent:read`. */
    async agent(signal: AbortSignal) {
      const send = (consul: ConsulPackage, common: { readonly ctx: Context }) =>
        (consul as Asking).agent.self({ ...common })
      const self = objectOf(jsonOf(await client.call('agent-self', send, signal), 'agent-self'))
      const [config, debug] = [objectOf(self.Config), objectOf(self.DebugConfig)]
      const { Version: version } = config
      if (typeof version !== 'string') throw new FleetError('CONSUL_BAD_ANSWER', 'agent-self names no version')
      const { HTTPMaxConnsPerClient: connections, ACLsEnabled: acl } = debug
      return {
        version,
        connections: typeof connections === 'number' ? connections : null,
        acl: typeof acl === 'boolean' ? acl : null,
      }
    },

    /** Makes a session and ends it. */
    async session(signal: AbortSignal): Promise<null> {
      const id = await client.createSession('hotcold doctor', SESSION_SECONDS, signal)
      await client.destroySession(id, signal)
      return null
    },

    /**
     * The needs that the token is refused. Asked by one transaction whose first two operations contradict each other: Consul looks at the
     * rights of all operations before it carries out any, and then carries out none.
     */
    async refused<need extends { readonly key: string; readonly access: 'read' | 'write' }>(
      needs: readonly need[],
      key: string,
      signal: AbortSignal,
    ): Promise<readonly need[]> {
      const asked = needs.slice(0, MOST_KEYS)
      const operations = asked.map(
        ({ key, access }): Operation =>
          access === 'write' ? { verb: 'cas', key, index: 1, ...scratch } : { verb: 'check-index', key, index: 1 },
      )
      const never: readonly Operation[] = [
        { verb: 'check-not-exists', key },
        { verb: 'check-index', key, index: 1 },
      ]
      const answer = await client.transact([...never, ...operations], signal)
      if (answer.committed)
        throw new FleetError('CONSUL_BAD_ANSWER', 'a transaction that contradicts itself was committed')
      const unknown = answer.refused.find(({ what }) => /ACL not found/i.test(what))
      if (unknown !== undefined) throw new FleetError('CONSUL_DENIED', unknown.what)
      const denied = answer.refused.filter(({ what }) => /permission denied/i.test(what))
      return denied.flatMap(({ operation }) => asked[operation - never.length] ?? [])
    },

    /** All that a release does, to a key that nobody ever sees: it is gone before the transaction is over. */
    async transaction(key: string, signal: AbortSignal): Promise<null> {
      const session = await client.createSession('hotcold doctor', SESSION_SECONDS, signal)
      try {
        const answer = await client.transact(
          [
            { verb: 'check-not-exists', key },
            { verb: 'cas', key, index: 0, ...scratch },
            { verb: 'lock', key, session, ...scratch },
            { verb: 'check-session', key, session },
            { verb: 'delete', key },
          ],
          signal,
        )
        if (answer.committed) return null
        const why = answer.refused.map(({ what }) => what).join('; ')
        throw new FleetError('CONSUL_DENIED', `the transaction was refused: ${why}`)
      } finally {
        await client.destroySession(session, signal).catch(() => undefined)
      }
    },

    /** Lets a blocking query wait for as long as the client does. */
    async watch(key: string, signal: AbortSignal) {
      const before = await client.get(key, signal)
      const { index } = before.meta
      const began = clock.monotonic()
      const after = index === 0 ? before : await client.get(key, signal, { index })
      const waitedMs = clock.monotonic() - began
      return { index, askedMs: client.waitMs, waitedMs, moved: after.meta.index !== index }
    },

    /** Whether a key is there. */
    async exists(key: string, signal: AbortSignal): Promise<boolean> {
      return (await client.get(key, signal)).value !== null
    },

    keys: (app: string) => client.keys(app),
    close: () => client.close(),
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function aheadOf({ headers }: Response, nowMs: number): number | null {
  const at = typeof headers.date === 'string' ? Date.parse(headers.date) : Number.NaN
  // A Date has whole seconds: what is less says nothing.
  return Number.isNaN(at) ? null : at + 500 - nowMs
}

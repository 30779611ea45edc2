// Owns Consul's maintenance mode of a service at the local agent.
import { FleetError } from '#fleet/errors.ts'
import type { Maintenance } from '#fleet/node-ports.ts'
import { jsonOf } from './answers.ts'
import type { ConsulClient } from './client.ts'
import type { Call, ConsulPackage, Context } from './transport.ts'

/** A local agent answers these within milliseconds: what takes longer is no agent, and a rollback must not wait for it. */
const DEADLINE_MS = 5_000

/** From one late try to lift to the next, unless told. */
const LATE_MS = 5_000

/**
 * Fulfils `Maintenance`. The client must talk to the agent that the service is registered at, with a token that may write the service.
 * The reason is what Consul keeps as the notes of the check `_service_maintenance:<service id>`.
 */
export function consulMaintenance(client: ConsulClient, { lateMs = LATE_MS } = {}): Maintenance {
  const late = new Map<string, LateLift>()
  const settle = async (service: string) => {
    await late.get(service)?.stop()
    late.delete(service)
  }
  return {
    async enter(service, note, signal) {
      await settle(service)
      return await putOn(client, service, note, signal)
    },
    async leave(service, owner, signal) {
      await settle(service)
      try {
        return await lift(client, service, owner, signal)
      } catch (error) {
        late.set(service, liftLate(client, service, owner, lateMs))
        throw error
      }
    },
  }
}

/** A lift that failed and is tried again in the background. `stop` resolves once no request of it is under way. */
interface LateLift {
  stop(): Promise<void>
}

function liftLate(client: ConsulClient, service: string, owner: string, lateMs: number): LateLift {
  const stopped = new AbortController()
  let running = Promise.resolve()
  let timer = setTimeout(again, lateMs).unref() // never keeps a finished program alive, as a sleep of the clock would
  function again(): void {
    running = lift(client, service, owner, stopped.signal).then(
      (outcome) => client.log.info('maintenance was settled late', { service, reason: outcome }),
      () => {
        if (!stopped.signal.aborted) timer = setTimeout(again, lateMs).unref()
      },
    )
  }
  return {
    stop: () => {
      stopped.abort()
      clearTimeout(timer)
      return running
    },
  }
}

async function putOn(
  client: ConsulClient,
  service: string,
  { owner, reason }: { readonly owner: string; readonly reason: string },
  signal: AbortSignal,
): Promise<'entered' | 'foreign' | 'unknown'> {
  const before = await reasonOf(client, service, signal)
  if (before !== null) return isOurs(before, owner) ? 'entered' : 'foreign'
  const known = await change(client, { id: service, enable: true, reason: `${owner} ${reason}` }, signal)
  if (!known) return 'unknown'
  // Consul keeps the reason that was first, and a 200 alone may come from anything in between: look at what stands now.
  const after = await reasonOf(client, service, signal)
  if (after === null) throw unproved(`${service} was put into maintenance, and the agent shows none`)
  return isOurs(after, owner) ? 'entered' : 'foreign'
}

async function lift(
  client: ConsulClient,
  service: string,
  owner: string,
  signal: AbortSignal,
): Promise<'left' | 'foreign' | 'none' | 'unknown'> {
  const before = await reasonOf(client, service, signal)
  if (before === null) return 'none'
  if (!isOurs(before, owner)) return 'foreign'
  if (!(await change(client, { id: service, enable: false }, signal))) return 'unknown'
  if ((await reasonOf(client, service, signal)) === null) return 'left'
  throw unproved(`${service} was taken out of maintenance, and the agent still shows it`)
}

function isOurs(reason: string, owner: string): boolean {
  return reason === owner || reason.startsWith(`${owner} `)
}

function unproved(detail: string): FleetError {
  return new FleetError('CONSUL_BAD_ANSWER', detail)
}

/** Why the service is in maintenance; null when it is not. */
async function reasonOf(client: ConsulClient, service: string, signal: AbortSignal): Promise<string | null> {
  const kind = 'agent-checks'
  const checks = jsonOf(await client.call(kind, listChecks, signal, DEADLINE_MS), kind)
  if (typeof checks !== 'object' || checks === null || Array.isArray(checks)) {
    throw unproved(`${kind} was not answered with an object`)
  }
  const check: unknown = new Map(Object.entries(checks)).get(`_service_maintenance:${service}`)
  if (check === undefined) return null
  if (typeof check === 'object' && check !== null && 'Notes' in check && typeof check.Notes === 'string') {
    return check.Notes
  }
  throw unproved(`the maintenance check of ${service} has no notes`)
}

type WithChecks = ConsulPackage & { readonly agent: { readonly check: { list(query: { ctx: Context }): Call } } }

function listChecks(consul: ConsulPackage, common: { readonly ctx: Context }): Call {
  return (consul as WithChecks).agent.check.list({ ...common })
}

/** False when the agent knows no such service. */
async function change(
  client: ConsulClient,
  order: { readonly id: string; readonly enable: boolean; readonly reason?: string },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const send = (consul: ConsulPackage, common: { readonly ctx: Context }) =>
      consul.agent.service.maintenance({ ...common, ...order })
    await client.call('agent-maintenance', send, signal, DEADLINE_MS)
    return true
  } catch (error) {
    if (error instanceof FleetError && isUnknownService(error.cause)) return false
    throw error
  }
}

function isUnknownService(cause: unknown): boolean {
  if (!(cause instanceof Error) || !('response' in cause)) return false
  const { response } = cause
  return typeof response === 'object' && response !== null && 'statusCode' in response && response.statusCode === 404
}

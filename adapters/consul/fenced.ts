// Owns sending one fenced transaction: why it was refused, and what became of it when the reply was lost.
import { FleetError, isFleetError } from '#fleet/errors.ts'
import type { ConsulClient, Operation, Refused } from './client.ts'

/** How often an unanswered transaction is settled by reading and sending again before the caller is told that it is not known. */
const ATTEMPTS = 3

interface Fenced {
  readonly app: string
  /** The first is the `check-session` on the lease. */
  readonly operations: readonly Operation[]
}

/**
 * Sends the transaction. Sending it again is safe: every write in it is compare-and-set, so it can happen once at most.
 * @throws FleetError `LEASE_LOST` · `WRITE_CONFLICT` · kind transient when it is not known whether it was written
 */
export async function commitFenced(client: ConsulClient, fenced: Fenced, signal: AbortSignal): Promise<void> {
  let doubt: FleetError | null = null
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      const result = await client.transact(fenced.operations, signal)
      if (result.committed) return
      // After a lost reply, a refusal may be our own first try that arrived.
      if (doubt !== null && (await isWritten(client, fenced, signal))) return
      throw await refusal(client, fenced, result.refused, signal)
    } catch (error) {
      if (!isFleetError(error) || error.kind !== 'transient') throw error
      doubt = error
      client.log.warn('reply to a write was lost', { app: fenced.app, code: error.code, error: error.message })
      await client.clock.sleep(50 + 200 * client.clock.random() * 2 ** attempt, signal)
      const written = await isWritten(client, fenced, signal).catch((cause) => {
        if (signal.aborted) throw cause
        return false
      })
      if (written) return
    }
  }
  throw doubt ?? new FleetError('CONSUL_UNREACHABLE', `it is not known whether the write for ${fenced.app} arrived`)
}

/** Whether our bytes stand where the transaction would have put them. One proves all; a history entry is nobody else's. */
async function isWritten(client: ConsulClient, fenced: Fenced, signal: AbortSignal): Promise<boolean> {
  const writes = fenced.operations.filter((operation) => operation.verb === 'cas')
  const proof = writes.find((operation) => operation.index === 0 && operation.key.includes('/history/')) ?? writes[0]
  if (proof?.value === undefined) return false
  const { value: entry } = await client.get(proof.key, signal, { consistency: 'consistent' })
  if (entry === null || entry.modifyIndex <= (proof.index ?? 0)) return false
  return Buffer.from(entry.value).equals(proof.value)
}

/** Why a transaction was refused, in our words: the lease before all else, because without it nothing else matters. */
async function refusal(
  client: ConsulClient,
  fenced: Fenced,
  refused: readonly Refused[],
  signal: AbortSignal,
): Promise<FleetError> {
  if (refused.some((each) => each.operation === 0)) {
    const { value: entry } = await client.get(client.keys(fenced.app).lease, signal).catch(() => ({ value: null }))
    const taken = entry?.session
      ? `the lease of ${fenced.app} is held by another session now`
      : `the lease of ${fenced.app} is gone`
    return new FleetError('LEASE_LOST', `${taken}; nothing was written`)
  }
  const keys = refused.map((each) => fenced.operations[each.operation]?.key ?? 'a key')
  return new FleetError('WRITE_CONFLICT', `${[...new Set(keys)].join(', ')} changed meanwhile; nothing was written`)
}

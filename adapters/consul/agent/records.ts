// Owns what the embedded agent holds: entries and sessions, and their JSON as Consul 1.8 spells it.

export interface Entry {
  readonly key: string
  readonly value: Buffer
  /** 64 bits, any meaning. */
  readonly flags: bigint
  /** How often the key was locked since it was last written plainly. */
  readonly lockIndex: number
  readonly session: string | null
  readonly createIndex: number
  readonly modifyIndex: number
}

export interface Session {
  readonly id: string
  readonly name: string
  readonly node: string
  readonly lockDelayMs: number
  readonly behavior: 'release' | 'delete'
  /** As the client wrote it, for answers. */
  readonly ttl: string
  /** 0: lives until it is destroyed. */
  readonly ttlMs: number
  readonly nodeChecks: readonly string[] | null
  readonly createIndex: number
  readonly modifyIndex: number
}

/**
 * An entry as JSON. An empty value is `null`, as in Go. Written by hand because flags use all 64 bits.
 * @param withValue false in the results of a transaction, which carry no values but for `get`
 */
export function entryJson(entry: Entry, withValue = true): string {
  const value = withValue && entry.value.length > 0 ? `"${entry.value.toString('base64')}"` : 'null'
  const session = entry.session === null ? '' : `"Session":"${entry.session}",`
  return (
    `{"LockIndex":${entry.lockIndex},"Key":${JSON.stringify(entry.key)},"Flags":${entry.flags},"Value":${value},` +
    `${session}"CreateIndex":${entry.createIndex},"ModifyIndex":${entry.modifyIndex}}`
  )
}

/** A session as Consul's JSON object; its lock-delay in nanoseconds. */
export function sessionJson(session: Session): object {
  return {
    ID: session.id,
    Name: session.name,
    Node: session.node,
    LockDelay: Math.round(session.lockDelayMs * 1e6),
    Behavior: session.behavior,
    TTL: session.ttl,
    NodeChecks: session.nodeChecks,
    ServiceChecks: null,
    CreateIndex: session.createIndex,
    ModifyIndex: session.modifyIndex,
  }
}

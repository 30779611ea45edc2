// Owns /v1/txn: up to 64 operations on keys that take effect together or not at all.
import type { Agent } from './agent.ts'
import { type AgentRequest, type Answer, HttpError, json } from './http.ts'
import { type Entry, entryJson } from './records.ts'
import type { Draft } from './state.ts'
import * as verbs from './verbs.ts'

const MAX_OPERATIONS = 64

interface Operation {
  readonly verb: string
  readonly key: string
  readonly value: Buffer
  readonly flags: bigint
  readonly index: number
  readonly session: string
}

/** What an operation puts into the results, as JSON; a refusal is thrown as `VerbError`. */
type Run = (draft: Draft, operation: Operation) => readonly string[]

const written = (entry: Entry) => [entryJson(entry, false)]
const read = (entry: Entry) => [entryJson(entry)]

function refuse(what: string): never {
  throw new verbs.VerbError(what)
}

function existing(draft: Draft, key: string, message: string): Entry {
  return draft.entry(key) ?? refuse(message)
}

const WRITES: Readonly<Record<string, Run>> = {
  set: (draft, op) => written(verbs.set(draft, op)),
  cas: (draft, op) =>
    written(verbs.compareAndSet(draft, op, op.index) ?? refuse(`failed to set key "${op.key}", index is stale`)),
  lock: (draft, op) =>
    written(verbs.lock(draft, op, op.session) ?? refuse(`failed to lock key "${op.key}", lock is already held`)),
  unlock: (draft, op) =>
    written(
      verbs.unlock(draft, op, op.session) ??
        refuse(`failed to unlock key "${op.key}", lock isn't held, or is held by another session`),
    ),
  delete: (draft, op) => {
    draft.remove(op.key)
    return []
  },
  'delete-cas': (draft, op) =>
    verbs.compareAndDelete(draft, op.key, op.index) ? [] : refuse(`failed to delete key "${op.key}", index is stale`),
  'delete-tree': (draft, op) => {
    verbs.deleteTree(draft, op.key)
    return []
  },
}

const READS: Readonly<Record<string, Run>> = {
  get: (draft, op) => read(existing(draft, op.key, `key "${op.key}" doesn't exist`)),
  'get-tree': (draft, op) => draft.select((entry) => entry.key.startsWith(op.key)).flatMap(read),
  'check-session': (draft, op) => {
    const entry = existing(draft, op.key, `failed to check session, key "${op.key}" doesn't exist`)
    const holder = entry.session ?? ''
    if (holder === op.session) return written(entry)
    refuse(`failed session check for key "${op.key}", current session "${holder}" != "${op.session}"`)
  },
  'check-index': (draft, op) => {
    const entry = existing(draft, op.key, `failed to check index, key "${op.key}" doesn't exist`)
    if (entry.modifyIndex === op.index) return written(entry)
    refuse(`failed index check for key "${op.key}", current modify index ${entry.modifyIndex} != ${op.index}`)
  },
  'check-not-exists': (draft, op) => (draft.entry(op.key) === null ? [] : refuse(`key "${op.key}" exists`)),
}

/** @throws HttpError 400 · 413 */
export function txn(agent: Agent, request: AgentRequest): Answer {
  const operations = parseOperations(request.body)
  if (operations.length > MAX_OPERATIONS) {
    throw new HttpError(413, `Transaction contains too many operations (${operations.length} > ${MAX_OPERATIONS})`)
  }
  const readOnly = !operations.some((op) => Object.hasOwn(WRITES, op.verb))
  const draft = agent.state.draft()
  let outcome = run(operations, (op) => precheck(agent, op))
  if (outcome.errors.length === 0) outcome = run(operations, (op) => execute(draft, op))
  const done = outcome.errors.length === 0
  if (done) agent.state.commit(draft)
  const results = done ? `[${outcome.results.map((entry) => `{"KV":${entry}}`).join(',')}]` : 'null'
  const body = `"Results":${results},"Errors":${done ? 'null' : JSON.stringify(outcome.errors)}`
  if (!readOnly) return json(`{${body}}`, {}, done ? 200 : 409)
  const meta = '"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""'
  const headers = { 'X-Consul-Knownleader': 'true', 'X-Consul-Lastcontact': '0' }
  return json(`{${body},${meta}}`, headers, done ? 200 : 409)
}

interface Outcome {
  readonly results: readonly string[]
  readonly errors: readonly { OpIndex: number; What: string }[]
}

/** Tries every operation, also after one failed: the client hears of all that is wrong. */
function run(operations: readonly Operation[], attempt: (op: Operation) => readonly string[]): Outcome {
  const results: string[] = []
  const errors: { OpIndex: number; What: string }[] = []
  operations.forEach((op, at) => {
    try {
      results.push(...attempt(op))
    } catch (error) {
      if (!(error instanceof verbs.VerbError)) throw error
      errors.push({ OpIndex: at, What: error.message })
    }
  })
  return { results, errors }
}

/** What is refused before anything is tried. */
function precheck(agent: Agent, op: Operation): readonly string[] {
  if (op.key === '' && op.verb !== 'delete-tree' && op.verb !== 'get-tree') refuse('Must provide key')
  if (op.verb === 'lock' && agent.state.lockIsDelayed(op.key, agent.clock.monotonic())) {
    refuse(`failed to lock key "${op.key}" due to lock delay`)
  }
  return []
}

function execute(draft: Draft, op: Operation): readonly string[] {
  const run = WRITES[op.verb] ?? READS[op.verb]
  return run === undefined ? refuse(`unknown KV verb "${op.verb}"`) : run(draft, op)
}

const FIELDS: Readonly<Record<string, 'string' | 'number'>> = {
  verb: 'string',
  key: 'string',
  value: 'string',
  flags: 'number',
  index: 'number',
  session: 'string',
}

function malformed(what: string): never {
  throw new HttpError(400, `Failed to parse body: ${what}`)
}

function parseOperations(body: Buffer): readonly Operation[] {
  if (body.length === 0) malformed('EOF')
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (error) {
    malformed(error instanceof Error ? error.message : 'not JSON')
  }
  if (!Array.isArray(value)) malformed('json: cannot unmarshal object into Go value of type api.TxnOps')
  return value.flatMap((item: unknown) => {
    const operation = fieldsOf(item)
    for (const name of operation.keys()) if (name !== 'kv') malformed(`json: unknown field "${name}"`)
    const parts = operation.get('kv') ?? null
    return parts === null ? [] : [parseOperation(fieldsOf(parts))]
  })
}

/** Field names count in any case, as in Go. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null) malformed('json: an operation must be an object')
  return new Map(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]))
}

function parseOperation(fields: ReadonlyMap<string, unknown>): Operation {
  for (const [name, value] of fields) {
    const type = FIELDS[name]
    if (type === undefined) malformed(`json: unknown field "${name}"`)
    if (value !== null && typeof value !== type) malformed(`json: field "${name}" must be a ${type}`)
  }
  const string = (name: string) => (fields.get(name) ?? '') as string
  const number = (name: string) => (fields.get(name) ?? 0) as number
  if (![number('flags'), number('index')].every((one) => Number.isInteger(one) && one >= 0)) {
    malformed('json: flags and index must be whole numbers')
  }
  const value = string('value')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value) || value.length % 4 !== 0) malformed('illegal base64 data')
  return {
    verb: string('verb'),
    key: string('key'),
    value: Buffer.from(value, 'base64'),
    flags: BigInt(number('flags')),
    index: number('index'),
    session: string('session'),
  }
}

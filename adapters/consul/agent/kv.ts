// Owns /v1/kv: reading one key, a list or only the names, writing, locking, deleting.
import type { Agent } from './agent.ts'
import { type AgentRequest, type Answer, HttpError, json, readHeaders, wishOf } from './http.ts'
import { type Entry, entryJson } from './records.ts'
import type { Draft } from './state.ts'
import * as verbs from './verbs.ts'
import { type Reading, scopeOfMissing } from './waiting.ts'

const PREFIX = '/v1/kv/'

/** @throws HttpError · VerbError */
export function kv(agent: Agent, request: AgentRequest): Promise<Answer> | Answer {
  const key = request.path.slice(PREFIX.length)
  if (request.method === 'PUT') return put(agent, key, request)
  if (request.method === 'DELETE') return remove(agent, key, request)
  const { query } = request
  if (query.has('keys')) return names(agent, key, request)
  if (query.has('recurse')) return list(agent, key, request)
  return one(agent, key, request)
}

function requireKey(key: string): void {
  if (key === '') throw new HttpError(400, 'Missing key name')
}

/** At most one of these, as their meanings exclude each other. */
function refuseTogether(query: URLSearchParams, ...names: readonly string[]): void {
  if (names.filter((name) => query.has(name)).length > 1) {
    const sorted = new URLSearchParams(query)
    sorted.sort()
    throw new HttpError(400, `Conflicting flags: ${sorted}`)
  }
}

function unsigned64(text: string): bigint {
  if (!/^\d+$/.test(text))
    throw new HttpError(500, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`)
  const value = BigInt(text)
  if (value >= 2n ** 64n) {
    throw new HttpError(500, `strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`)
  }
  return value
}

/** Never 0: a reader that waits on index 0 would not wait at all. */
function tableIndex(agent: Agent): number {
  return Math.max(1, agent.state.keysIndex)
}

async function one(agent: Agent, key: string, request: AgentRequest): Promise<Answer> {
  requireKey(key)
  const read = (): Reading<Entry | null> => {
    const entry = agent.state.entries.get(key) ?? null
    if (entry === null) return { value: null, index: tableIndex(agent), scope: scopeOfMissing(agent.state, key) }
    return { value: entry, index: entry.modifyIndex, scope: { kind: 'key', key } }
  }
  const { value, index } = await agent.waiters.settle(read, wishOf(request.query), request.signal)
  if (value === null) return { status: 404, headers: readHeaders(index) }
  if (!request.query.has('raw')) return json(`[${entryJson(value)}]`, readHeaders(index))
  // Values are anyone's: a browser must not take one for a page.
  const guard = {
    'Content-Type': 'text/plain',
    'Content-Security-Policy': 'sandbox',
    'X-Content-Type-Options': 'nosniff',
  }
  return { status: 200, headers: { ...guard, ...readHeaders(index) }, body: value.value }
}

function readTree(agent: Agent, prefix: string): Reading<readonly Entry[]> {
  const { state } = agent
  const value = state.draft().select((entry) => entry.key.startsWith(prefix))
  let index = 0
  if (prefix !== '') {
    for (const entry of value) index = Math.max(index, entry.modifyIndex)
    for (const [key, at] of state.tombstones) if (key.startsWith(prefix)) index = Math.max(index, at)
  }
  const scope = value.length > 0 ? ({ kind: 'prefix', prefix } as const) : scopeOfMissing(state, prefix)
  return { value, index: index === 0 ? tableIndex(agent) : index, scope }
}

async function list(agent: Agent, prefix: string, request: AgentRequest): Promise<Answer> {
  const read = () => readTree(agent, prefix)
  const { value, index } = await agent.waiters.settle(read, wishOf(request.query), request.signal)
  if (value.length === 0) return { status: 404, headers: readHeaders(index) }
  return json(`[${value.map((entry) => entryJson(entry)).join(',')}]`, readHeaders(index))
}

async function names(agent: Agent, prefix: string, request: AgentRequest): Promise<Answer> {
  const read = () => readTree(agent, prefix)
  const { value, index } = await agent.waiters.settle(read, wishOf(request.query), request.signal)
  if (value.length === 0 && prefix !== '') return { status: 404, headers: readHeaders(index) }
  const separator = request.query.get('separator') ?? ''
  const upTo = (key: string) => {
    const end = separator === '' ? -1 : key.indexOf(separator, prefix.length)
    return end < 0 ? key : key.slice(0, end + separator.length)
  }
  return json(JSON.stringify([...new Set(value.map((entry) => upTo(entry.key)))]), readHeaders(index))
}

/** Commits and answers `true`, or answers `false` and leaves everything as it was. */
function outcome(agent: Agent, draft: Draft, done: boolean): Answer {
  if (done) agent.state.commit(draft)
  return json(String(done))
}

function put(agent: Agent, key: string, request: AgentRequest): Answer {
  const { query, body } = request
  requireKey(key)
  refuseTogether(query, 'cas', 'acquire', 'release')
  const write = { key, value: body, flags: unsigned64(query.get('flags') || '0') }
  const draft = agent.state.draft()
  const cas = query.get('cas')
  if (cas !== null) {
    return outcome(agent, draft, verbs.compareAndSet(draft, write, Number(unsigned64(cas))) !== null)
  }
  const acquire = query.get('acquire')
  if (acquire !== null) {
    if (agent.state.lockIsDelayed(key, agent.clock.monotonic())) return json('false')
    return outcome(agent, draft, verbs.lock(draft, write, acquire) !== null)
  }
  const release = query.get('release')
  if (release !== null) return outcome(agent, draft, verbs.unlock(draft, write, release) !== null)
  verbs.set(draft, write)
  return outcome(agent, draft, true)
}

function remove(agent: Agent, key: string, request: AgentRequest): Answer {
  const { query } = request
  refuseTogether(query, 'recurse', 'cas')
  const draft = agent.state.draft()
  if (query.has('recurse')) {
    verbs.deleteTree(draft, key)
    return outcome(agent, draft, true)
  }
  requireKey(key)
  const cas = query.get('cas')
  if (cas !== null) return outcome(agent, draft, verbs.compareAndDelete(draft, key, Number(unsigned64(cas))))
  draft.remove(key)
  return outcome(agent, draft, true)
}

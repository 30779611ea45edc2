// Owns /v1/session: create, renew, destroy, look up, and the end of a session that nobody renews.
import { randomUUID } from 'node:crypto'
import type { Agent } from './agent.ts'
import { parseGoDuration } from './go-duration.ts'
import { type AgentRequest, type Answer, HttpError, json, readHeaders, wishOf } from './http.ts'
import { type Session, sessionJson } from './records.ts'
import { checkSessionId, endSession } from './verbs.ts'
import type { Reading, Scope } from './waiting.ts'

const MAX_TTL_MS = 86_400_000
const DEFAULT_LOCK_DELAY_MS = 15_000
/** The only check an agent that runs alone knows. */
const NODE_CHECK = 'serfHealth'

/** @throws HttpError 400 · 500 */
export function create(agent: Agent, request: AgentRequest): Answer {
  const fields = parseFields(request.body)
  const draft = agent.state.draft()
  const session: Session = {
    id: randomUUID(),
    name: stringField(fields, 'name') ?? '',
    node: stringField(fields, 'node') ?? agent.node,
    lockDelayMs: lockDelay(fields.get('lockdelay')),
    behavior: behavior(stringField(fields, 'behavior') ?? ''),
    ...ttl(agent, stringField(fields, 'ttl') ?? ''),
    nodeChecks: nodeChecks(fields),
    createIndex: draft.index,
    modifyIndex: draft.index,
  }
  if (session.node !== agent.node) throw new HttpError(500, 'Missing node registration')
  const unknown = session.nodeChecks?.find((check) => check !== NODE_CHECK)
  if (unknown !== undefined) throw new HttpError(500, `Missing check '${unknown}' registration`)
  draft.sessions.set(session.id, session)
  agent.state.commit(draft)
  expireLater(agent, session)
  return json(JSON.stringify({ ID: session.id }))
}

function parseFields(body: Buffer): ReadonlyMap<string, unknown> {
  if (body.length === 0) return new Map()
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (error) {
    throw new HttpError(400, `Request decode failed: ${error instanceof Error ? error.message : 'not JSON'}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HttpError(400, 'Request decode failed: a session must be an object')
  }
  return new Map(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]))
}

function stringField(fields: ReadonlyMap<string, unknown>, name: string): string | null {
  const value = fields.get(name) ?? null
  if (value !== null && typeof value !== 'string') {
    throw new HttpError(400, `Request decode failed: json: field ${name} must be a string`)
  }
  return value
}

/** A duration, or a number: of seconds when it is small, else of nanoseconds. */
function lockDelay(value: unknown): number {
  if (value === undefined || value === null) return DEFAULT_LOCK_DELAY_MS
  if (typeof value === 'number') return value < 1_000 ? value * 1_000 : value / 1e6
  const ms = typeof value === 'string' ? parseGoDuration(value) : null
  if (ms === null) {
    throw new HttpError(400, `Request decode failed: time: invalid duration ${JSON.stringify(value)}`)
  }
  return ms
}

function behavior(value: string): Session['behavior'] {
  if (value === '' || value === 'release') return 'release'
  if (value === 'delete') return 'delete'
  throw new HttpError(500, `Invalid Behavior setting '${value}'`)
}

function ttl(agent: Agent, text: string): { ttl: string; ttlMs: number } {
  if (text === '') return { ttl: '', ttlMs: 0 }
  const ttlMs = parseGoDuration(text)
  if (ttlMs === null) {
    throw new HttpError(500, `Session TTL '${text}' invalid: time: invalid duration ${JSON.stringify(text)}`)
  }
  if (ttlMs !== 0 && (ttlMs < agent.minTtlMs || ttlMs > MAX_TTL_MS)) {
    const range = `[${agent.minTtlMs / 1_000}s=24h0m0s]`
    throw new HttpError(500, `Invalid Session TTL '${ttlMs * 1e6}', must be between ${range}`)
  }
  return { ttl: text, ttlMs }
}

function nodeChecks(fields: ReadonlyMap<string, unknown>): readonly string[] | null {
  // `Checks` is the older name, which old clients still send.
  const value = fields.has('nodechecks') ? fields.get('nodechecks') : fields.get('checks')
  if (value === undefined) return [NODE_CHECK]
  if (value === null) return null
  if (Array.isArray(value) && value.every((check) => typeof check === 'string')) return value
  throw new HttpError(400, 'Request decode failed: json: checks must be strings')
}

/** Consul lets a session live for twice its TTL before it ends it: the promise is only "not before". */
function expireLater(agent: Agent, session: Session): void {
  if (session.ttlMs > 0) agent.expiry.start(session.id, session.ttlMs * 2, () => end(agent, session.id))
}

function end(agent: Agent, id: string): void {
  const session = agent.state.sessions.get(id)
  if (session === undefined) return
  const draft = agent.state.draft()
  const nowMs = agent.clock.monotonic()
  for (const key of endSession(draft, id)) agent.state.delayLock(key, session.lockDelayMs, nowMs)
  agent.expiry.stop(id)
  agent.state.commit(draft)
}

function idOf(request: AgentRequest): string {
  const id = request.path.split('/').slice(4).join('/')
  if (id === '') throw new HttpError(400, 'Missing session')
  checkSessionId(id)
  return id
}

export function destroy(agent: Agent, request: AgentRequest): Answer {
  end(agent, idOf(request))
  return json('true')
}

/** @throws HttpError 404 when the session has ended */
export function renew(agent: Agent, request: AgentRequest): Answer {
  const id = idOf(request)
  const session = agent.state.sessions.get(id)
  if (session === undefined) throw new HttpError(404, `Session id '${id}' not found`)
  expireLater(agent, session)
  return json(JSON.stringify([sessionJson(session)]))
}

async function look(
  agent: Agent,
  request: AgentRequest,
  scope: Scope,
  pick: (one: Session) => boolean,
): Promise<Answer> {
  const read = (): Reading<readonly Session[]> => ({
    value: [...agent.state.sessions.values()].filter(pick).sort((a, b) => (a.id < b.id ? -1 : 1)),
    index: Math.max(1, agent.state.sessionsIndex),
    scope,
  })
  const { value, index } = await agent.waiters.settle(read, wishOf(request.query), request.signal)
  return json(JSON.stringify(value.map(sessionJson)), readHeaders(index))
}

export function info(agent: Agent, request: AgentRequest): Promise<Answer> {
  const id = idOf(request)
  return look(agent, request, { kind: 'session', id }, (session) => session.id === id)
}

export function list(agent: Agent, request: AgentRequest): Promise<Answer> {
  return look(agent, request, { kind: 'sessions' }, () => true)
}

export function ofNode(agent: Agent, request: AgentRequest): Promise<Answer> {
  const node = request.path.split('/').slice(4).join('/')
  if (node === '') throw new HttpError(400, 'Missing node name')
  return look(agent, request, { kind: 'sessions' }, (session) => session.node === node)
}

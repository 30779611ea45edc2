// Owns which path and method leads where, and how a request that leads nowhere is answered.
import { posix } from 'node:path'
import type { Agent } from './agent.ts'
import { type AgentRequest, type Answer, HttpError, json, text } from './http.ts'
import { kv } from './kv.ts'
import * as sessions from './sessions.ts'
import { txn } from './txn.ts'
import { VerbError } from './verbs.ts'

interface Route {
  /** Ends in a slash: everything below it. */
  readonly path: string
  readonly methods: readonly string[]
  readonly answer: (agent: Agent, request: AgentRequest) => Promise<Answer> | Answer
}

const ROUTES: readonly Route[] = [
  { path: '/v1/kv/', methods: ['GET', 'PUT', 'DELETE'], answer: kv },
  { path: '/v1/txn', methods: ['PUT'], answer: txn },
  { path: '/v1/session/create', methods: ['PUT'], answer: sessions.create },
  { path: '/v1/session/destroy/', methods: ['PUT'], answer: sessions.destroy },
  { path: '/v1/session/renew/', methods: ['PUT'], answer: sessions.renew },
  { path: '/v1/session/info/', methods: ['GET'], answer: sessions.info },
  { path: '/v1/session/node/', methods: ['GET'], answer: sessions.ofNode },
  { path: '/v1/session/list', methods: ['GET'], answer: sessions.list },
  { path: '/v1/status/leader', methods: ['GET'], answer: (agent) => json(JSON.stringify(agent.address())) },
  { path: '/v1/status/peers', methods: ['GET'], answer: (agent) => json(JSON.stringify([agent.address()])) },
  { path: '/v1/agent/self', methods: ['GET'], answer: self },
]

/** Which agent this is; `Revision` tells it from a real one. */
function self(agent: Agent): Answer {
  const [host = '', port = ''] = agent.address().split(':')
  const config = { Datacenter: 'dc1', NodeName: agent.node, Server: true, Version: '1.8.7', Revision: 'embedded' }
  const member = { Name: agent.node, Addr: host, Port: Number(port), Status: 1, Tags: { dc: 'dc1', role: 'consul' } }
  return json(JSON.stringify({ Config: config, Member: member }))
}

function routeOf(path: string): Route | null {
  return ROUTES.find((route) => (route.path.endsWith('/') ? path.startsWith(route.path) : path === route.path)) ?? null
}

/** The name of the limit that a body above 512 KiB breaks. */
export function limitNameOf(path: string): string {
  return path === '/v1/txn' ? 'txn_max_req_len' : 'kv_max_value_size'
}

/** Where a path in another spelling (`//`, `..`, without its last slash) leads, or null when it is spelled well. */
function redirectOf(path: string): string | null {
  if (path === '/') return '/ui/'
  const clean = posix.normalize(path)
  if (clean !== path) return clean
  return ROUTES.some((route) => route.path === `${path}/`) ? `${path}/` : null
}

/** Answers every request; a bug of ours is a 500, never a crash. */
export async function answer(agent: Agent, request: AgentRequest): Promise<Answer> {
  try {
    const redirect = redirectOf(request.path)
    if (redirect !== null) return { status: 301, headers: { Location: encodeURI(redirect) } }
    const route = routeOf(request.path)
    if (route === null) return { status: 404 }
    const allow = { Allow: ['OPTIONS', ...route.methods].join(',') }
    if (request.method === 'OPTIONS') return { status: 200, headers: allow }
    if (!route.methods.includes(request.method)) return text(405, `method ${request.method} not allowed`, allow)
    const datacenter = request.query.get('dc') || 'dc1'
    if (datacenter !== 'dc1') throw new HttpError(500, 'No path to datacenter')
    return await route.answer(agent, request)
  } catch (error) {
    if (error instanceof HttpError) return text(error.status, error.message, error.headers)
    if (error instanceof VerbError) return text(500, error.message)
    return text(500, error instanceof Error ? error.message : 'unknown error')
  }
}

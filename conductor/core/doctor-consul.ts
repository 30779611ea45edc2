// Owns the judgement of what was seen of Consul: reach, leader, version, clocks, rights, and what its answers are good for.
import type { Finding, Looked, Outcome } from './finding.ts'
import { finding, told, unseen } from './finding.ts'

/** A key and what must be allowed with it; `line` is the rule of a policy that allows it. */
export interface Need {
  readonly key: string
  readonly access: 'read' | 'write'
  readonly line: string
}

export interface AgentFacts {
  readonly version: string
  /** `limits.http_max_conns_per_client`; null where the agent does not say. */
  readonly connections: number | null
  /** Null where the agent does not say. */
  readonly acl: boolean | null
}

export interface LeaderFacts {
  /** Address of the leader; empty: there is none. */
  readonly leader: string
  readonly roundTripMs: number
  /** Consul's clock less ours, in milliseconds; null without a Date. Known to the second. */
  readonly aheadMs: number | null
}

export interface WatchFacts {
  readonly index: number
  readonly askedMs: number
  readonly waitedMs: number
  /** Something was written meanwhile: then an early answer is right. */
  readonly moved: boolean
}

/** What was seen of one Consul, with one token. */
export interface ConsulFacts {
  readonly about: string
  readonly url: string
  /** Where the settings come from, for people. */
  readonly file: string
  readonly token: { readonly file: string | null; readonly given: boolean; readonly problem: string | null }
  readonly leader: Looked<LeaderFacts>
  readonly agent: Looked<AgentFacts>
  readonly needs: readonly Need[]
  /** Those that are refused. */
  readonly rights: Looked<readonly Need[]>
  readonly session: Looked<null>
  readonly transaction: Looked<null>
  readonly watch: Looked<WatchFacts>
}

const SLOW_MS = 250
const APART_MS = 3_000
const FAR_APART_MS = 60_000
const FEW_CONNECTIONS = 50
const OLDEST = [1, 8] as const

const SESSION_LINE = 'session_prefix "" { policy = "write" }'

/** What a driver of rollouts needs. */
export function conductorNeeds(keys: {
  readonly app: string
  readonly target: (ring: string) => string
  readonly names: Readonly<Record<string, string>>
  readonly rings: readonly string[]
}): readonly Need[] {
  const line = `key_prefix "${keys.app}" { policy = "write" }`
  const written = [...keys.rings.map(keys.target), ...Object.values(keys.names)]
  return written.map((key) => ({ key, access: 'write', line }))
}

/** What a puller needs: its own status to write, orders to read. */
export function pullerNeeds(keys: {
  readonly target: string
  readonly node: string
  readonly pin: string
  readonly builds: string
}): readonly Need[] {
  const rule = (key: string, access: Need['access']): Need => ({
    key,
    access,
    line: `key "${key}" { policy = "${access}" }`,
  })
  const builds = `key_prefix "${keys.builds}" { policy = "read" }`
  return [
    rule(keys.target, 'read'),
    rule(keys.node, 'write'),
    rule(keys.pin, 'read'),
    { key: `${keys.builds}any`, access: 'read', line: builds },
  ]
}

export function consulFindings(facts: ConsulFacts): readonly Finding[] {
  const { about, leader, agent, needs } = facts
  // Told once, by the first finding: the others were not looked at.
  const after = leader.kind === 'seen' ? leader : unseen('Consul did not answer')
  const answered = leader.kind === 'seen' || (leader.kind === 'failed' && leader.code === 'CONSUL_NO_LEADER')
  const unknown = isUnknown(facts)
  const allowed = <value>(looked: Looked<value>) => (unknown ? unseen('Consul does not know the token') : looked)
  return [
    answered
      ? finding('consul-reach', about, 'ok', `Consul answers at ${facts.url}`)
      : told('consul-reach', about, leader, neverSeen, { file: facts.file }),
    leaderFinding(facts, answered),
    told('consul-version', about, agent, (value) => versionFinding(about, value), {}, 'unseen'),
    told('consul-delay', about, after, (value) => delayFinding(about, value), {}, 'unseen'),
    told('consul-clock', about, after, (value) => clockFinding(about, value.aheadMs), {}, 'unseen'),
    tokenFinding(facts, unknown),
    told('consul-rights', about, allowed(facts.rights), (denied) => rightsFinding(about, denied), linesOf(needs)),
    told('consul-session', about, allowed(facts.session), () => sessionFinding(about), { lines: SESSION_LINE }),
    told('consul-transaction', about, allowed(facts.transaction), () => transactionFinding(about)),
    told('consul-watch', about, allowed(facts.watch), (watch) => watchFinding(about, watch)),
    told('consul-limit', about, agent, (value) => limitFinding(about, value), {}, 'unseen'),
  ]
}

function neverSeen(): never {
  throw new Error('a Consul that was seen has answered')
}

/** Consul says so of any question. */
function isUnknown({ rights, session, agent }: ConsulFacts): boolean {
  return [rights, session, agent].some((one) => one.kind === 'failed' && /ACL not found/i.test(one.detail))
}

function linesOf(needs: readonly Need[]): { readonly lines: string } {
  return { lines: [...new Set(needs.map(({ line }) => line))].join(' ') }
}

function sessionFinding(about: string): Finding {
  return finding('consul-session', about, 'ok', 'A session was made and ended')
}

function transactionFinding(about: string): Finding {
  return finding('consul-transaction', about, 'ok', 'A transaction with all that a release needs was committed')
}

function leaderFinding({ about, leader }: ConsulFacts, answered: boolean): Finding {
  if (!answered) return finding('consul-leader', about, 'unseen', 'Consul did not answer')
  return told('consul-leader', about, leader, ({ leader: name }) =>
    name === ''
      ? finding('consul-leader', about, 'wrong', 'Consul has no leader')
      : finding('consul-leader', about, 'ok', `${name} leads`),
  )
}

function versionFinding(about: string, { version }: AgentFacts): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const old = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
  return finding('consul-version', about, old ? 'warning' : 'ok', `Consul is version ${version}`)
}

function delayFinding(about: string, { roundTripMs }: LeaderFacts): Finding {
  const slow: Outcome = roundTripMs > SLOW_MS ? 'warning' : 'ok'
  return finding('consul-delay', about, slow, `A round trip takes ${Math.ceil(roundTripMs)} ms`)
}

function clockFinding(about: string, aheadMs: number | null): Finding {
  if (aheadMs === null) return finding('consul-clock', about, 'unseen', 'Consul sent no Date')
  const apart = Math.abs(aheadMs)
  const outcome = apart > FAR_APART_MS ? 'wrong' : apart > APART_MS ? 'warning' : 'ok'
  return finding('consul-clock', about, outcome, apartText('Consul', aheadMs))
}

/** @param aheadMs the other's clock less ours */
export function apartText(other: string, aheadMs: number): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1_000)
  if (seconds <= 1) return `The clock here and that of ${other} agree to the second`
  return `The clock here is ${seconds} s ${aheadMs > 0 ? 'behind' : 'ahead of'} that of ${other}`
}

function tokenFinding({ about, token, agent, file }: ConsulFacts, unknown: boolean): Finding {
  const words = { file: token.file ?? `a file that consul.tokenFile in ${file} names` }
  if (token.problem !== null) return finding('consul-token', about, 'wrong', token.problem, words)
  if (unknown) return finding('consul-token', about, 'wrong', 'Consul does not know the token', words)
  if (agent.kind === 'seen' && agent.value.acl === false) {
    const how = {
      file: `${words.file}, and turn ACLs on: acl.enabled with default_policy deny in the config of Consul`,
    }
    return finding('consul-token', about, 'warning', 'ACLs are off: whoever reaches Consul may order any build', how)
  }
  const named = token.file === null ? 'A token is given' : `The token of ${token.file} is taken`
  return finding('consul-token', about, 'ok', token.given ? named : 'No token is given, and no file is named for one')
}

function rightsFinding(about: string, denied: readonly Need[]): Finding {
  if (denied.length === 0) return finding('consul-rights', about, 'ok', 'All keys may be used as they must')
  const [first] = denied
  const more = denied.length > 1 ? `, nor ${denied.length - 1} more` : ''
  return finding(
    'consul-rights',
    about,
    'wrong',
    `The token may not ${first?.access} ${first?.key}${more}`,
    linesOf(denied),
  )
}

function watchFinding(about: string, { index, askedMs, waitedMs, moved }: WatchFacts): Finding {
  if (index === 0) return finding('consul-watch', about, 'wrong', 'Answers come without X-Consul-Index')
  // Half of what was asked for: no timer is that far off.
  if (!moved && waitedMs < askedMs / 2) {
    const how = `A query that was to wait ${askedMs} ms was answered after ${Math.round(waitedMs)} ms, with nothing new`
    return finding('consul-watch', about, 'wrong', how)
  }
  return finding('consul-watch', about, 'ok', 'A blocking query waits for news')
}

function limitFinding(about: string, { connections }: AgentFacts): Finding {
  if (connections === null) return finding('consul-limit', about, 'unseen', 'The agent does not say its limit')
  // 0 lifts the limit.
  const few = connections > 0 && connections < FEW_CONNECTIONS
  const most = connections === 0 ? 'any number of' : `${connections}`
  return finding('consul-limit', about, few ? 'warning' : 'ok', `The agent takes ${most} connections from one address`)
}

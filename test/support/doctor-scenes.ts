// Owns facts of a machine in order, for `conduct doctor`, and how to change one of them.
import type { Facts, MachineFacts } from '#conductor/core/doctor.ts'
import type { ConfigFacts, GateFacts, ProgramFacts } from '#conductor/core/doctor-config.ts'
import type { ConsulFacts, LeaderFacts } from '#conductor/core/doctor-consul.ts'
import type { PullerFacts, RootFacts, UnitFacts } from '#conductor/core/doctor-node.ts'
import type { StoreFacts } from '#conductor/core/doctor-store.ts'
import { type Looked, seen } from '#conductor/core/finding.ts'

export const failed = (detail: string, code = 'fault'): Looked<never> => ({ kind: 'failed', code, detail })

export const GATE: GateFacts = { name: 'errors', url: 'http://prometheus.internal', status: seen(200), expected: 200 }
export const PROGRAM: ProgramFacts = {
  of: 'gate page',
  program: './page',
  found: '/etc/hotcold/page',
  executable: true,
}
export const NEED = { key: 'p/web/hold', access: 'write', line: 'key_prefix "p/web/" { policy = "write" }' } as const

const config: ConfigFacts = {
  ...{ file: '/etc/hotcold/conduct.yaml', looked: ['./hotcold.yaml'], problem: null, app: 'web', pullers: 1 },
  rings: seen({ named: ['production'], missing: [] }),
  schedule: { file: '/etc/hotcold/schedule.yaml', problem: null },
  gates: [GATE],
  programs: [PROGRAM],
}
const leader: LeaderFacts = { leader: '10.0.0.1:8300', roundTripMs: 2, aheadMs: 400 }
export const CONSUL: ConsulFacts = {
  ...{ about: 'conduct', url: 'http://127.0.0.1:8500', file: '/etc/hotcold/conduct.yaml' },
  token: { file: '/etc/hotcold/consul.token', given: true, problem: null },
  leader: seen(leader),
  agent: seen({ version: '1.8.7', connections: 200, acl: true }),
  ...{ needs: [NEED], rights: seen([]), session: seen(null), transaction: seen(null) },
  watch: seen({ index: 7, askedMs: 400, waitedMs: 402, moved: false }),
}
const store: StoreFacts = {
  ...{ about: 'conduct', file: '/etc/hotcold/conduct.yaml', url: 's3://builds/web' },
  ...{ newest: seen({ build: 'b1', bytes: 900 }), creators: seen(1), aheadMs: seen(0) },
}
export const ROOT: RootFacts = {
  ...{ is: 'directory', elsewhere: [], freeBytes: 1_000, freeInodes: 100, user: 'hotcold', writable: true },
  mount: { at: '/srv', type: 'ext4', options: ['rw', 'noatime'] },
}
const unit: UnitFacts = {
  ...{ unit: 'hotcold-puller@web', load: 'loaded', active: 'active', enabled: 'enabled', restarts: 0 },
  ...{ result: 'success', differs: false },
}
const puller: PullerFacts = {
  ...{ name: 'web', file: '/etc/hotcold/puller/web.yaml', problem: seen('') },
  root: { path: '/srv/web', facts: seen(ROOT) },
  build: seen({ bytes: 400, inodes: 40 }),
  programs: [{ of: 'afterSwap', program: 'systemctl', found: '/usr/bin/systemctl', executable: true }],
  reloads: [{ unit: 'web.service', allowed: seen(true) }],
  unit: seen(unit),
  credentials: [{ file: '/etc/credstore/hotcold-web.consul.token', there: seen(true) }],
}
const machine: MachineFacts = {
  ...{ synchronised: seen(true), zones: '2026a', year: 2026, node: seen('v26.10.0'), conductor: null },
  credentials: [],
}

/** Nothing to say of it. */
export const HEALTHY: Facts = { config, consuls: [CONSUL], stores: [store], pullers: [puller], machine }

export const withConfig = (more: Partial<ConfigFacts>): Facts => ({ ...HEALTHY, config: { ...config, ...more } })
export const withConsul = (more: Partial<ConsulFacts>): Facts => ({ ...HEALTHY, consuls: [{ ...CONSUL, ...more }] })
export const withLeader = (more: Partial<LeaderFacts>): Facts => withConsul({ leader: seen({ ...leader, ...more }) })
export const withStore = (more: Partial<StoreFacts>): Facts => ({ ...HEALTHY, stores: [{ ...store, ...more }] })
export const withPuller = (more: Partial<PullerFacts>): Facts => ({ ...HEALTHY, pullers: [{ ...puller, ...more }] })
export const withRoot = (more: Partial<RootFacts>): Facts =>
  withPuller({ root: { path: '/srv/web', facts: seen({ ...ROOT, ...more }) } })
export const withUnit = (more: Partial<UnitFacts>): Facts => withPuller({ unit: seen({ ...unit, ...more }) })
export const withMachine = (more: Partial<MachineFacts>): Facts => ({ ...HEALTHY, machine: { ...machine, ...more } })

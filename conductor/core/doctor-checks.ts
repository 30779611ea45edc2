// Owns the table of what `conduct doctor` looks at: what is asked, when that is a warning or wrong, and what to do then.

/** In `todo` a word in braces stands for a fact of the case. */
export interface CheckSpec {
  readonly area: Area
  readonly asks: string
  /** Null: it is never one. */
  readonly warning: string | null
  readonly wrong: string | null
  readonly todo: string
}

export type Area = 'config' | 'consul' | 'store' | 'clock' | 'disk' | 'hooks' | 'units'

type Row = readonly [asks: string, warning: string | null, wrong: string | null, todo: string]

function area<code extends string>(of: Area, rows: Readonly<Record<code, Row>>): Readonly<Record<code, CheckSpec>> {
  const entries = Object.entries<Row>(rows).map(([code, [asks, warning, wrong, todo]]) => {
    return [code, { area: of, asks, warning, wrong, todo }]
  })
  return Object.fromEntries(entries) as Readonly<Record<code, CheckSpec>>
}

export const CHECKS = {
  ...area('config', {
    'config-file': [
      'the config of conduct is found and valid',
      'there is none, and --app stands for it',
      'it cannot be read or has a mistake; or there is neither a config of conduct nor one of a puller',
      'edit {file}; docs/samples/hotcold.yaml shows every key',
    ],
    'config-rings': ['the rings that it names have target keys', null, 'a key is missing', 'conduct init'],
    'config-schedule': [
      'the schedule file is valid',
      null,
      'it cannot be read or has a mistake',
      'edit {file}, then conduct schedule check; docs/samples/schedule.yaml shows every key',
    ],
    'config-gate': [
      'the addresses of gates answer',
      'with a status of 500 or more, or for want of credentials; Prometheus with any but 200',
      'nobody answers: every stage that it judges is put on hold',
      'start what listens at {url}, or mend the gate in {file}',
    ],
    'config-command': [
      'programs of gates, smoke tests and afterRollout can be run by whoever drives',
      null,
      'a program is missing or may not be executed',
      'install {program} or mend its path in {file}; chmod +x where it is there',
    ],
    'config-puller': [
      'the puller finds its configuration in order, and the user of its unit may read it',
      null,
      'it has a mistake, or may not be read',
      'edit {file}, then puller/puller check-config --config {file}',
    ],
  }),
  ...area('consul', {
    'consul-reach': [
      'Consul answers',
      null,
      'it does not, within 3 s',
      'start the Consul agent, or name another by consul.url in {file}; meanwhile nodes keep what they run',
    ],
    'consul-leader': [
      'Consul has a leader',
      null,
      'it has none: nothing can be written',
      'consul operator raft list-peers',
    ],
    'consul-version': [
      'the version of Consul',
      'it is older than 1.8, the oldest that was tried',
      null,
      'upgrade the Consul agent of this machine',
    ],
    'consul-delay': [
      'one round trip',
      'it takes more than 250 ms',
      null,
      'name the agent of this machine by consul.url',
    ],
    'consul-clock': [
      'the clock of this machine beside the Date that Consul sends',
      'they are more than 3 s apart',
      'they are more than a minute apart: slots fire at another time than people think',
      'synchronise both clocks: timedatectl set-ntp true',
    ],
    'consul-token': [
      'the token file can be read, and there is a token where Consul asks for one',
      'ACLs are off: whoever reaches Consul may order any build',
      'the file cannot be read, or Consul does not know the token',
      'put a valid token into {file}',
    ],
    'consul-rights': [
      'the token may read and write what is needed: asked by a transaction that never commits',
      null,
      'a right is missing',
      'add to the policy of the token: {lines}',
    ],
    'consul-session': [
      'a session can be made and ended',
      null,
      'it cannot: no lease can be held, and nodes seem silent',
      'add to the policy of the token: {lines}',
    ],
    'consul-transaction': [
      'a scratch key is made with CAS 0, locked, checked and deleted, all in one transaction that nobody sees',
      null,
      'Consul, or what stands before it, refuses it',
      'let /v1/txn through to a Consul server of 1.8 or later',
    ],
    'consul-watch': [
      'a blocking query waits',
      null,
      'it is answered at once, or without X-Consul-Index: every watch would turn into polling',
      'name the agent itself by consul.url, without a proxy that drops its headers',
    ],
    'consul-limit': [
      'limits.http_max_conns_per_client of the agent',
      'it is below 50',
      null,
      'set limits.http_max_conns_per_client to 200, its default, in the config of the agent',
    ],
  }),
  ...area('store', {
    'store-read': [
      'the manifest of the newest build can be read',
      'no store is named',
      'it cannot be read, or is not there',
      '{todo}',
    ],
    'store-write': [
      'an object can be made and removed (not asked of a puller, nor of http)',
      null,
      'it cannot: nothing can be published',
      '{todo}',
    ],
    'store-condition': [
      'of two that create the same object at once one is told that it exists',
      'both are told that they created it: two publishers of one build id could overwrite each other',
      null,
      'use a store that honours If-None-Match, or let one machine alone publish',
    ],
    'store-clock': [
      'the clock of this machine beside the Date that the store sends',
      'they are more than a minute apart',
      'they are more than 10 min apart: S3 refuses requests from 15 on',
      'synchronise the clock: timedatectl set-ntp true',
    ],
  }),
  ...area('clock', {
    'clock-synchronised': [
      'systemd says that the clock is synchronised',
      'it is not',
      null,
      'timedatectl set-ntp true',
    ],
    'clock-zones': [
      'the zone data that slots are computed with',
      'it is older than two years',
      null,
      'upgrade this installation: the zone data comes with its Node',
    ],
  }),
  ...area('disk', {
    'disk-root': [
      'the root is a directory on one file system, can be written to, and is not an overlay',
      'it is an overlay',
      'it is missing, a link, read-only, or its parts lie on several file systems: the puller refuses it (ROOT_UNFIT)',
      '{todo}',
    ],
    'disk-owner': [
      'the user that the unit runs as may write to the root',
      null,
      'it may not',
      'chown -R {user} {root}',
    ],
    'disk-room': [
      'bytes and inodes are free beside twice the newest build',
      'less is free than twice the build',
      'less is free than the build',
      'make room on {volume}, or give {root} a larger volume',
    ],
  }),
  ...area('hooks', {
    'hook-program': [
      'programs of hooks, drain and verify can be run by the user of the unit',
      null,
      'a program is missing or may not be executed',
      'install {program} or mend its path in {file}; chmod +x where it is there',
    ],
    'hook-reload': [
      'a hook by systemctl is allowed to the user of the unit',
      'no rule of polkit names the unit that it reloads',
      null,
      'apt-get install polkitd, then name {unit} in systemd/hotcold.rules, copied to /etc/polkit-1/rules.d/50-hotcold.rules',
    ],
  }),
  ...area('units', {
    'unit-state': [
      'the unit is installed, runs, starts at boot, and does not die again and again',
      'it is not enabled, or was started anew three times or more',
      'it is not installed, has failed, or does not run',
      '{todo}',
    ],
    'unit-file': [
      'the unit is the one of this version',
      'it differs',
      null,
      'systemd/install {part}, then systemctl restart {unit}; what differs on this machine belongs into a drop-in',
    ],
    'unit-credentials': [
      'secrets that the configuration names lie in /etc/credstore',
      null,
      'a file is missing',
      'put the token into {file}, readable by root alone, then systemctl restart {unit}',
    ],
    'unit-node': [
      'the Node of this installation starts, and is version 26',
      'it is another version',
      'it does not start',
      '{todo}',
    ],
  }),
} as const satisfies Readonly<Record<string, CheckSpec>>

export type CheckCode = keyof typeof CHECKS

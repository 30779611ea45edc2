// Owns docs/doctor.md, printed from the table of checks: `npm run docs` writes it, a test tells when it is stale.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Area, CHECKS, type CheckSpec } from '#conductor/core/doctor-checks.ts'
import { PROJECT } from './source.ts'

export const DOCTOR_DOC = 'docs/doctor.md'

const TITLES: Readonly<Record<Area, string>> = {
  config: 'Configuration',
  consul: 'Consul',
  store: 'Store',
  clock: 'Clock',
  disk: "A puller's root",
  hooks: "A puller's hooks",
  units: 'Units',
}

function text(words: string): string {
  return words
    .replace(/^\{todo\}$/, 'as the finding says: it depends on what failed')
    .replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase())
    .replaceAll('|', '\\|')
}

/** The whole page. */
export function doctorDoc(): string {
  const rows = Object.entries<CheckSpec>(CHECKS)
  const areas = [...new Set(rows.map(([, { area }]) => area))]
  const row = ([code, { asks, warning, wrong, todo }]: [string, CheckSpec]) =>
    `| \`${code}\` | ${[asks, warning ?? '–', wrong ?? '–', todo].map(text).join(' | ')} |`
  return [
    '# What `conduct doctor` looks at',
    '',
    'Printed from `conductor/core/doctor-checks.ts` by `npm run docs`: do not edit.',
    '',
    '`conduct doctor` looks over the machine that it runs on: a desk, a conductor, a node, or all in one. Each check comes out **ok**,',
    '**warning**, **wrong** or **not looked at** (with the reason), says in one sentence what was seen, and what to do. Exit 0: nothing is wrong.',
    'Exit 1: something is. `--json` gives one document: how many came out each way, and `findings`, each with `code`, `area`, `about`, `outcome`,',
    '`seen` and `todo`. The codes are stable.',
    '',
    'Every check stands for itself and has a limit in time. Of a config with a mistake each key that is in order is used all the same; of a',
    'Consul that does not answer within 3 s nothing more is asked, and the rest is looked at.',
    '',
    'Nothing that runs is touched. A session is made and ended; a scratch key is made and deleted inside one transaction, so that nobody ever sees it;',
    'rights to write are asked for by a transaction that contradicts itself and so cannot commit; a scratch object is made in the store and removed.',
    '',
    'Configurations of pullers are those in `/etc/hotcold/puller/` and `/etc/hotcold/puller.yaml`, or those that `--puller` names. Each is asked for',
    'with its own token, and for what its puller needs alone. What only root may see (secrets, rules of polkit, tokens of units) is looked',
    'at when root asks. Words in capitals stand for facts of the case.',
    '',
    ...areas.flatMap((area) => [
      `## ${TITLES[area]}`,
      '',
      '| code | asks | warning | wrong | to do |',
      '| --- | --- | --- | --- | --- |',
      ...rows.filter(([, spec]) => spec.area === area).map(row),
      '',
    ]),
  ].join('\n')
}

if (import.meta.main) writeFileSync(join(PROJECT, DOCTOR_DOC), doctorDoc())

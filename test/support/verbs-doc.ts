// Owns docs/verbs.md, printed from the legality table: `npm run docs` writes it, a test tells when it is stale.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cell, LEGALITY, ROLLOUT_STATES, VERBS } from '#conductor/core/legality.ts'
import { ERRORS } from '#fleet/errors.ts'
import { PROJECT } from './source.ts'

export const VERBS_DOC = 'docs/verbs.md'

const SIGNS: Readonly<Record<Cell['kind'], string>> = { allowed: 'yes', already: 'already', refused: 'no' }

function text(words: string): string {
  return words.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase())
}

/** The whole page: the table, and what each refusal says. */
export function verbsDoc(): string {
  const cell = (verb: (typeof VERBS)[number], state: (typeof ROLLOUT_STATES)[number]): Cell => LEGALITY[verb][state]
  const rows = VERBS.map(
    (verb) => `| \`${verb}\` | ${ROLLOUT_STATES.map((state) => SIGNS[cell(verb, state).kind]).join(' | ')} |`,
  )
  const refusals = new Map<string, { readonly cell: Extract<Cell, { kind: 'refused' }>; readonly where: string[] }>()
  for (const verb of VERBS) {
    for (const state of ROLLOUT_STATES) {
      const found = cell(verb, state)
      if (found.kind !== 'refused') continue
      const key = `${found.code} ${found.fact} ${found.help}`
      const entry = refusals.get(key) ?? { cell: found, where: [] }
      entry.where.push(`${verb} while ${state}`)
      refusals.set(key, entry)
    }
  }
  return [
    '# What an operator may do, and when',
    '',
    'Printed from `conductor/core/legality.ts` by `npm run docs`: do not edit. The command line asks this table before it asks anybody,',
    'whoever holds the lease asks it before it writes, and a test walks all of it.',
    '',
    '- **yes**: it is done. With a living driver the driver does it, in one transaction with the entry of the history; without one the',
    '  command takes the lease for that one transaction.',
    '- **already**: it was done before, or it is so anyway: nothing changes, exit 0.',
    '- **no**: it is refused with the code, the fact and the command that helps, exit 3.',
    '',
    'States: the phases of a rollout; `none` before the first; `paused` by an operator, `held` by the conductor (a gate without data),',
    "`orphaned` when somebody else wrote one of its orders. `release` stands for a build other than the rollout's own.",
    '',
    `| verb | ${ROLLOUT_STATES.join(' | ')} |`,
    `| --- |${' --- |'.repeat(ROLLOUT_STATES.length)}`,
    ...rows,
    '',
    '## What a refusal says',
    '',
    'Words in capitals stand for facts of the rollout.',
    '',
    '| code | says | helps | when |',
    '| --- | --- | --- | --- |',
    ...[...refusals.values()].map(({ cell: { code, fact, help }, where }) => {
      return `| \`${code}\` ${ERRORS[code].title} | ${text(fact)} | ${text(help)} | ${where.join(', ')} |`
    }),
    '',
  ].join('\n')
}

if (import.meta.main) writeFileSync(join(PROJECT, VERBS_DOC), verbsDoc())

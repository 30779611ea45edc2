// Owns docs/why.md, printed from the tables of reasons: `npm run docs` writes it, a test tells when it is stale.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NODE_REASONS } from '#conductor/core/node-reasons.ts'
import { type ReasonSpec, RING_REASONS, ROLLOUT_REASONS } from '#conductor/core/reasons.ts'
import { SLOT_REASONS } from '#conductor/core/slot-reasons.ts'
import { PROJECT } from './source.ts'

export const WHY_DOC = 'docs/why.md'

function text(words: string): string {
  return words.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase()).replaceAll('|', '\\|')
}

function rows(table: Readonly<Record<string, ReasonSpec>>): readonly string[] {
  const cells = ([code, { title, next, when, command, over }]: [string, ReasonSpec]) => {
    const after = over === undefined ? '' : ` (over: ${over})`
    return `| \`${code}\` | ${[title, `${next}${after}`, when, command].map(text).join(' | ')} |`
  }
  return ['| code | what it means | next | when | type |', '| --- | --- | --- | --- | --- |']
    .concat(Object.entries(table).map(cells))
    .concat('')
}

/** The whole page. */
export function whyDoc(): string {
  return [
    '# Why it stands or waits',
    '',
    'Printed from `conductor/core/reasons.ts`, `node-reasons.ts` and `slot-reasons.ts` by `npm run docs`: do not edit.',
    '',
    '`conduct why` gives one reason for the rollout, and for every ring and node that stands or waits: its code, the facts it was told from,',
    'what happens next, when, and what to type. `conduct why NODE` tells of one node. `--json` gives the same as one document, with every',
    'ring and node. `conduct status` ends with the same line for the rollout.',
    '',
    'Words in capitals stand for facts of the case. Where the case itself knows a time (the rest of a soak, the end of a hold, the progress',
    'deadline), that is told in place of the column "when".',
    '',
    '## A rollout',
    '',
    'Of several reasons the first of these counts; the others are named after it: a hold of the rollout, an order that somebody else wrote,',
    'a stop of the line, nobody who drives, then what `plan` waits for. On the way back: nobody who drives, our own verdict that turned it',
    'back, then what is waited for.',
    '',
    ...rows(ROLLOUT_REASONS),
    '## A ring',
    '',
    'The key comes first, then the rollout that is at the ring, then its nodes.',
    '',
    ...rows(RING_REASONS),
    '## A node',
    '',
    'Waived before silent, silent before refusing, refusing before troubles, troubles before the phase it is in.',
    '',
    ...rows(NODE_REASONS),
    '## A slot',
    '',
    'Told of the last slot where it began nothing and nothing is being rolled out; `conduct why --slot TIME` tells of any. Calendar before an open',
    'rollout, that before holds, holds before builds.',
    '',
    ...rows(SLOT_REASONS),
  ].join('\n')
}

if (import.meta.main) writeFileSync(join(PROJECT, WHY_DOC), whyDoc())

// Owns the table of safeguards as people read it, in docs/proof.md.
import { MUTANTS } from './table.ts'

export const PROOF = 'docs/proof.md'
const BEGIN = '<!-- mutants:begin -->'
const END = '<!-- mutants:end -->'

const cell = (text: string): string => text.replaceAll('|', '\\|')

/** One line per safeguard: what is promised, what is removed, and the test that fails. */
export function mutantTable(): string {
  const rows = MUTANTS.map(({ guard, without, file, test: [where, name] }, index) =>
    [String(index + 1), guard, `${without} (\`${file}\`)`, `${name} (\`${where}\`)`].map(cell).join(' | '),
  )
  return ['| # | Safeguard | Without | The test that fails |', '| --- | --- | --- | --- |']
    .concat(rows.map((row) => `| ${row} |`))
    .join('\n')
}

/** The document with the table in its place. @throws when it has no place for one */
export function withTable(document: string): string {
  const [before, rest] = document.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`${PROOF} has no ${BEGIN} … ${END}`)
  return `${before}${BEGIN}\n${mutantTable()}\n${END}${after}`
}

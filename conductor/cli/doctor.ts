// Owns `conduct doctor`: what was found, area by area, with what to do beside it.
import { examine, tally } from '#conductor/core/doctor.ts'
import { type Area, CHECKS } from '#conductor/core/doctor-checks.ts'
import type { Finding, Outcome } from '#conductor/core/finding.ts'
import { gather } from '#conductor/shell/doctor/gather.ts'
import type { Doctoring } from '#conductor/shell/doctor/ports.ts'
import type { DoctorCommand } from './program.ts'
import { plain, type Reporter } from './reporter.ts'
import { configPath, FOUND } from './settings.ts'
import { counted, pad } from './words.ts'

/** Exit 1 when something is wrong. */
export async function doctor(command: DoctorCommand, report: Reporter, doctoring: Doctoring): Promise<number> {
  const { app, consul, store, puller = [] } = command
  const file = configPath(command, doctoring)
  const facts = await gather({ file, looked: FOUND, app, consul, store, pullers: puller }, doctoring)
  const findings = examine(facts)
  const counts = tally(findings)
  const code = counts.wrong > 0 ? 1 : 0
  if (report.json) {
    report.document({ host: doctoring.hostname, ...counts, findings })
    return code
  }
  for (const area of areas()) {
    const own = findings.filter((one) => one.area === area)
    if (own.length === 0) continue
    report.result(report.paint.bold(area))
    for (const one of together(own)) for (const line of linesOf(one, report)) report.result(line)
  }
  const { wrong, warning, unseen, ok } = counts
  const rest = [counted(warning, 'warning'), `${unseen} not looked at`, `${ok} ok`].join(', ')
  report.result(`${wrong === 0 ? 'Nothing is wrong' : `${wrong} wrong`}: ${rest}.`)
  return code
}

function areas(): readonly Area[] {
  return [...new Set(Object.values(CHECKS).map(({ area }) => area))]
}

/** What was not looked at for one reason is one line: of a Consul that is mute there is one thing to say. */
function together(findings: readonly Finding[]): readonly Row[] {
  const rows = new Map<string, Row>()
  for (const one of findings) {
    const key = one.outcome === 'unseen' ? `${one.about} ${one.seen}` : `${rows.size}`
    rows.set(key, { ...one, codes: [...(rows.get(key)?.codes ?? []), one.code] })
  }
  return [...rows.values()]
}

type Row = Omit<Finding, 'code'> & { readonly codes: readonly string[] }

/** Words, and not colours alone. */
const WORDS: Readonly<Record<Outcome, string>> = {
  ok: 'ok',
  warning: 'warning',
  wrong: 'WRONG',
  unseen: 'not looked at',
}
const WIDTH = 13

function linesOf({ codes, about, outcome, seen, todo }: Row, { paint }: Reporter): readonly string[] {
  const colour = { ok: paint.green, warning: paint.yellow, wrong: paint.red, unseen: paint.dim }[outcome]
  const [first = '', ...others] = codes
  const also = others.length === 0 ? '' : ` (and ${others.map((code) => code.replace(/^\w+/, '')).join(', ')})`
  const said = `${plain(about)}: ${plain(seen)}.`.replace(/([.?])\.$/, '$1')
  const head = `  ${colour(pad(WORDS[outcome], WIDTH))}  ${pad(first, 18)}  ${said}${also}`
  return todo === null ? [head] : [head, `  ${pad('', WIDTH)}  ${paint.bold('→')} ${plain(todo)}`]
}

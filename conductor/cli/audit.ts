// Owns `conduct audit verify`: walks the chain of the history from its first entry to its newest, and names what is not as it was written.
import { createHash } from 'node:crypto'
import { type Anchor, type Audit, auditLink, endAudit, type Link, UNAUDITED } from '#conductor/core/audit.ts'
import { FleetError, isFleetError } from '#fleet/errors.ts'
import { keysOf } from '#fleet/keys.ts'
import type { ChainLink, HistoryEntry } from '#fleet/ports.ts'
import { readHistoryEntry } from '#fleet/wire.ts'
import { counted } from './words.ts'
import type { Bench } from './world.ts'

/** Lines that are printed; `--json` has them all. */
const SHOWN = 50

export async function auditVerify(bench: Bench, options: { readonly anchor: string | null }): Promise<number> {
  const { app, ports, report, signal } = bench
  const anchor = options.anchor === null ? null : anchorOf(options.anchor)
  let audit: Audit = UNAUDITED
  for await (const link of ports.ledger.chain(signal)) audit = auditLink(audit, linkOf(app, link), anchor)
  audit = endAudit(audit, anchor)
  const { entries, head, differences } = audit
  const exit = differences.length > 0 ? 1 : 0
  if (report.json) {
    report.document({ app, entries, head, differences, result: { exit } })
    return exit
  }
  for (const { message } of differences.slice(0, SHOWN)) report.result(`${report.paint.red('✖')} ${message}.`)
  if (differences.length > SHOWN) report.result(`… and ${differences.length - SHOWN} more.`)
  const walked = head === null ? 'The history is empty' : `${counted(entries, 'entry', 'entries')} up to ${head.seq}`
  const found = exit === 0 ? 'every one as it was written' : counted(differences.length, 'difference')
  report.result(head === null ? `${walked}.` : `${walked}: ${found}.`)
  if (head !== null)
    report.result(
      `Newest: ${head.seq}:${head.digest}  (conduct audit verify --anchor with this proves later that nothing up to here was rewritten)`,
    )
  return exit
}

/** @throws FleetError `USAGE` */
function anchorOf(text: string): Anchor {
  const [, seq = '', digest = ''] = /^(\d{1,12}):([0-9a-f]{64})$/.exec(text) ?? []
  if (digest === '')
    throw new FleetError('USAGE', `--anchor ${JSON.stringify(text)} is not NUMBER:SHA-256 as audit verify prints it`)
  return { seq: Number(seq), digest }
}

function linkOf(app: string, { name, raw }: ChainLink): Link {
  const digest = createHash('sha256').update(raw).digest('hex')
  return { name, seq: keysOf('', app).seqOf(name), digest, entry: entryOf(raw) }
}

function entryOf(raw: Uint8Array): HistoryEntry | null {
  try {
    return readHistoryEntry(raw)
  } catch (error) {
    if (!isFleetError(error)) throw error
    return null
  }
}

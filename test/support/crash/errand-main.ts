// Owns a process that runs one errand and ends: what tests kill, stop and starve at each of its steps.
import { describeError, isFleetError } from '#fleet/errors.ts'
import { hurried } from '../hurry.ts'
import { type Errand, runErrand } from './errand.ts'

/**
 * Argument: the errand as JSON, and with it: `factor` makes its clock faster; a code that `final` fits ends it after `patienceMs`, unless it is
 * at rest by then.
 */
const {
  factor = 1,
  final,
  patienceMs = 300,
  ...errand
} = JSON.parse(process.argv[2] ?? '') as Errand & {
  readonly factor?: number
  readonly final?: string
  readonly patienceMs?: number
}
const told = new Set<string>()

function tell(code: string): void {
  if (told.has(code)) return
  told.add(code)
  process.stdout.write(`${code}\n`)
  if (final !== undefined && new RegExp(final).test(code)) setTimeout(() => process.exit(3), patienceMs).unref()
}

try {
  await runErrand(errand, {
    ...(factor !== 1 && { clock: hurried(factor) }),
    onStatus: ({ troubles, refusal }) => {
      for (const { code } of [...troubles, ...(refusal === null ? [] : [refusal])]) tell(code)
    },
  })
} catch (error) {
  process.stdout.write(`${isFleetError(error) ? error.code : `UNFORESEEN ${describeError(error)}`}\n`)
  process.exit(1)
}
process.exit(0)

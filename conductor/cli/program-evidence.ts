// Owns the command lines of the verbs that show and keep evidence: history, audit, diff, pending, check, prune and gate.
import { type Command, InvalidArgumentError } from 'commander'
import { auditVerify } from './audit.ts'
import { check } from './check.ts'
import { diff } from './diff.ts'
import { gateBacktest } from './gate.ts'
import { history } from './history.ts'
import { pending } from './pending.ts'
import type { Common } from './program.ts'
import { prune } from './prune.ts'
import type { Bench } from './world.ts'

type Run = (bench: Bench, options: Common & Record<string, unknown>, args: readonly string[]) => Promise<number>

/** How the program makes a verb. */
export interface Maker {
  readonly program: Command
  readonly verb: (name: string, command: Command, run: Run) => void
  readonly reading: (command: Command) => Command
  readonly changing: (command: Command) => Command
  readonly count: (text: string) => number
  readonly duration: (text: string) => number
  readonly buildId: (text: string) => string
  readonly append: (value: string, before?: readonly string[]) => readonly string[]
}

export function addEvidence(maker: Maker): void {
  addHistory(maker)
  addBuilds(maker)
  addCheck(maker)
  addPrune(maker)
  addGate(maker)
}

function addBuilds({ program, verb, reading, count, buildId }: Maker): void {
  const compared = reading(program.command('diff'))
    .argument('<build>', 'the build', buildId)
    .argument('[base]', 'the build to compare it with (default: what runs in the last ring of the plan)', buildId)
    .description('show what a build changes: files with their bytes, and the commits')
    .option('--all', 'list every file, however many')
  verb('diff', compared, (bench, options, [build = '', base]) =>
    diff(bench, { build, base: base ?? null, all: options.all === true }),
  )

  const waiting = reading(program.command('pending'))
    .description('list what is published and not in production, with its age and its checks')
    .option('--limit <n>', 'how many', count, 20)
  verb('pending', waiting, (bench, options) => pending(bench, { limit: Number(options.limit) }))
}

function addCheck({ program, verb, changing, buildId }: Maker): void {
  const checked = changing(program.command('check'))
    .argument('<build>', 'the build', buildId)
    .argument('<name>', 'of the check, like qa')
    .argument('<state>', 'passed, or anything else: what is required must be passed')
    .description('say of a build that a check passed, or did not')
  verb('check', checked, (bench, options, [build = '', name = '', state = '']) =>
    check(bench, { build, name, state, reason: options.reason ?? '', dryRun: options.dryRun === true }),
  )
}

function addPrune({ program, verb, changing, count, duration }: Maker): void {
  const pruned = changing(program.command('prune'))
    .description('remove builds from store and catalog that nobody runs, holds or could go back to')
    .requiredOption('--keep <n>', 'the newest builds stay, this many', count)
    .option('--older-than <time>', 'builds younger than this stay, like 36h or 30d', age(duration))
    .option('--keep-good <n>', 'of the good builds of each ring only so many stay (default: all)', count)
    .addHelpText('after', PRUNE_HELP)
  verb('prune', pruned, (bench, options) => {
    const { keep, olderThan, keepGood } = options as { keep?: number; olderThan?: number; keepGood?: number }
    return prune(bench, {
      keep: keep ?? 1,
      olderThanMs: olderThan ?? null,
      keepGood: keepGood ?? null,
      reason: options.reason ?? '',
      dryRun: options.dryRun === true,
    })
  })
}

function addGate({ program, verb, reading, count }: Maker): void {
  const gates = program.command('gate').description('look into the gates of the config')
  const replayed = reading(gates.command('backtest'))
    .argument('[gate]', 'a gate of the config (default: all)')
    .description(
      'say what the gates, as they are now, would have said in past rollouts; tells of one that never had data',
    )
    .option('--limit <n>', 'how many rollouts', count, 20)
    .option('--live', 'ask Prometheus for the time of rollouts that kept nothing of a gate, with .+ for {{nodes}}')
  verb('gate backtest', replayed, (bench, options, [gate]) =>
    gateBacktest(bench, { gate: gate ?? null, limit: Number(options.limit), live: options.live === true }),
  )
}

/** As other durations, and in days. */
function age(duration: (text: string) => number): (text: string) => number {
  return (given) => (/^\d{1,5}d$/.test(given) ? Number(given.slice(0, -1)) * 86_400_000 : duration(given))
}

const PRUNE_HELP = `
What is hot or cold on any node, ordered or a fallback in any ring, good in any ring, or part of the open or the last rollout stays
whatever --keep says. --dry-run names what would go, and for each build that stays why.

Examples:
  conduct prune --keep 20 --dry-run
  conduct prune --keep 20 --older-than 30d --keep-good 10`

function addHistory({ program, verb, reading, count, duration, buildId }: Maker): void {
  const told = reading(program.command('history'))
    .description('list what happened, newest first; with --at also what was ordered then')
    .option('--at <time>', 'as of a time: 2026-11-22T16:04Z, or how long ago, like 90m', moment(duration))
    .option('--build <build>', 'what is about a build, and its rollouts', buildId)
    .option('--by <name>', 'what a person did')
    .option('--limit <n>', 'how many entries', count, 30)
  verb('history', told, (bench, options) => {
    const { at } = options as { at?: Moment }
    const atMs = at === undefined ? null : 'agoMs' in at ? bench.clock.now() - at.agoMs : at.ms
    return history(bench, { limit: Number(options.limit), atMs, build: text(options.build), who: options.by ?? null })
  })

  const audit = program.command('audit').description('prove that the history is as it was written')
  const verified = reading(audit.command('verify'))
    .description('walk the chain from the first entry to the newest; exit 1 names each gap and each changed entry')
    .option('--anchor <seq:digest>', 'an entry as an earlier verify printed it: the chain must still hold it')
  verb('audit', verified, (bench, options) => auditVerify(bench, { anchor: text(options.anchor) }))
}

export type Moment = { readonly ms: number } | { readonly agoMs: number }

/** A time, or how long ago. A time without a zone is in UTC, as everything that the history prints. */
export function moment(duration: (text: string) => number): (text: string) => Moment {
  return (given) => {
    if (/^\d{1,9}(ms|s|m|h)$/.test(given)) return { agoMs: duration(given) }
    const [, day = '', time = '00:00', zone = 'Z'] =
      /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?))?(Z|[+-]\d{2}:\d{2})?$/.exec(given) ?? []
    const ms = Date.parse(`${day}T${time}${zone}`)
    if (day !== '' && !Number.isNaN(ms)) return { ms }
    throw new InvalidArgumentError('A time is written like 2026-11-22T16:04Z, or like 90m for how long ago.')
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

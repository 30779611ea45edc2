// Owns the command line of `conduct schedule`: today, what comes next, and what is to be said of the file.
import { Argument } from 'commander'
import { FleetError } from '#fleet/errors.ts'
import { type Maker, type Moment, moment } from './program-evidence.ts'
import { schedule } from './schedule.ts'

const NEXT = 5

export function addSchedule({ program, verb, reading, duration, count }: Maker): void {
  const shown = reading(program.command('schedule'))
    .addArgument(
      new Argument('[what]', 'next: the slots to come; check: the file (default: the day)').choices(['next', 'check']),
    )
    .argument('[n]', `how many slots are to come (default: ${NEXT})`, count)
    .description('show the slots of the day, what became of them, why they are closed, and who commands')
    .option('--at <time>', 'as of a time: 2026-11-22T16:04Z, or how long ago, like 90m', moment(duration))
    .addHelpText('after', SCHEDULE_HELP)
  verb('schedule', shown, (bench, options) => {
    const { at } = options as { at?: Moment }
    const [what, n] = shown.processedArgs as [string | undefined, number | undefined]
    if (n !== undefined && what !== 'next')
      throw new FleetError('USAGE', `conduct schedule ${what} takes no number: next does`)
    const atMs = at === undefined ? bench.clock.now() : 'agoMs' in at ? bench.clock.now() - at.agoMs : at.ms
    return schedule(bench, { what: what === 'next' || what === 'check' ? what : 'day', count: n ?? NEXT, atMs })
  })
}

const SCHEDULE_HELP = `
The file is named by schedule: in the config (docs/samples/schedule.yaml shows its keys, docs/schedule.md what they mean). Its slots are fired
by conduct serve. A release by hand outside of deploy hours is refused; --force windows or --emergency goes past, a rollback never asks.

Examples:
  conduct schedule --at 2026-12-24T12:00Z        a day, with the reasons for closed slots
  conduct schedule next 20                       what fires when, and whose it is
  conduct schedule check                         the file in sentences, and what is hardly meant`

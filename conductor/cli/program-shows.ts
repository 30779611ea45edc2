// Owns the command lines of what runs on this machine alone and asks no Consul of anybody: the demo and the simulation.
import { type Command, InvalidArgumentError } from 'commander'
import type { Invocation, SimCommand } from './program.ts'

function seed(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('A seed is a whole number.')
}

export function registerShows(
  program: Command,
  invoke: (invocation: Invocation) => void,
  count: (text: string) => number,
): void {
  const demonstrated = program
    .command('demo')
    .description('watch a whole fleet deploy, fail and roll back on this machine')
    .option('--keep', 'leave it running, with the commands to try')
    .option('--embedded', 'take the embedded agent even where a consul binary is found')
    .option('--nodes <n>', 'how many nodes', count)
  demonstrated.action(() => {
    const { keep, embedded, nodes } = demonstrated.opts<{ keep?: true; embedded?: true; nodes?: number }>()
    invoke({ demo: { keep: keep === true, embedded: embedded === true, ...(nodes !== undefined && { nodes }) } })
  })

  const simulated = program
    .command('sim')
    .description('try the rules of a rollout on a simulated fleet, with faults, in virtual time')
    .option('--nodes <n>', 'how many nodes', count, 100)
    .option('--seed <n>', 'which history: the same seed gives the same events', seed, 1)
    .option('--seeds <n>', 'how many seeds, from --seed on', count, 1)
    .option('--faults <names>', 'what may go wrong: all, none, or names with commas between', 'all')
    .option('--events', 'print every event')
    .option('--json', 'print one JSON document instead of sentences')
    .addHelpText('after', SIM_HELP)
  simulated.action(() => {
    const { nodes, seed, seeds, faults, events, json } = simulated.opts<SimCommand>()
    invoke({ sim: { nodes, seed, seeds, faults, events: events === true, json: json === true } })
  })
}

const SIM_HELP = `
Production code decides, for the conductors as for every node; Consul is in memory. Checks hold at every step: a broken one ends its
seed, and is told with the last events and with the command that shows it again. Exit 1: a check was broken.

Examples:
  conduct sim --nodes 1000 --seed 7 --faults none
  conduct sim --nodes 8 --seeds 500 --faults crash-conductor,lease,rivals,late`

// Owns the command line of the daemon.
import type { Command } from 'commander'
import type { Common, Invocation } from './program.ts'

const HELP = `
Several may run for an app: one holds its lease and leads, the others wait for it. Who leads drives every rollout, and does what the
verbs of the command line ask for, which find it by its lease. SIGTERM lets the lease go at once; of one that dies it is free within 20 s.
Log lines are JSON on stdout. It listens on loopback unless told: docs/api.md says what it answers, and to whom.`

export function registerServe(
  program: Command,
  reading: (command: Command) => Command,
  invoke: (invocation: Invocation) => void,
): void {
  const served = reading(program.command('serve'))
    .description('lead an app for as long as it runs: drive its rollouts, and answer over HTTP how it stands')
    .option('--listen <address:port>', 'where it answers (default: serve.listen of the config)')
    .option('--by <name>', 'in whose name it drives (default: the login)')
    .addHelpText('after', HELP)
  served.action(() => {
    const { listen, ...common } = served.opts<Common & { listen?: string }>()
    invoke({ serve: { listen: listen ?? null }, common })
  })
}

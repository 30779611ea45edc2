// Owns the command line of `conduct doctor`.
import type { Command } from 'commander'
import type { DoctorCommand, Invocation } from './program.ts'

export function addDoctor(
  program: Command,
  reading: (command: Command) => Command,
  append: (value: string, before?: readonly string[]) => readonly string[],
  invoke: (invocation: Invocation) => void,
): void {
  const examined = reading(program.command('doctor'))
    .description('look over this machine: config, Consul, store, clock, disk, hooks, units; says what to mend')
    .option('--puller <file>', 'a configuration of a puller, may be repeated (default: those in /etc/hotcold)', append)
    .addHelpText('after', DOCTOR_HELP)
  examined.action(() => invoke({ doctor: examined.opts<DoctorCommand>() }))
}

const DOCTOR_HELP = `
Every check stands for itself and has a limit in time: a mistake in the config or a Consul that is mute leaves the others as they are.
Nothing that runs is touched; what it writes (a session, a scratch object of the store) is gone when it ends. Run it as root to see
all of it. docs/doctor.md lists the checks. Exit 0: nothing is wrong, there may be warnings. Exit 1: something is wrong.

Examples:
  conduct doctor                                 this machine
  conduct doctor --json | jq '.findings[] | select(.outcome == "wrong")'`

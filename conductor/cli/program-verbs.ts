// Owns the command lines of the verbs by which operators steer a rollout, stop the line, and mark nodes and builds.
import type { Command } from 'commander'
import type { VerbWish } from '#conductor/core/verbs.ts'
import { operate } from './operate.ts'
import type { Common } from './program.ts'
import type { Bench } from './world.ts'

type Run = (bench: Bench, options: Common & Record<string, unknown>, args: readonly string[]) => Promise<number>
type Register = (name: string, command: Command, run: Run) => void

interface Line {
  readonly verb: VerbWish['verb']
  /** In the order in which help lists them: what they are called on, and what they do. */
  readonly takes: string
  readonly does: string
  readonly expires?: boolean
  readonly to?: boolean
}

const LINES: readonly Line[] = [
  { verb: 'pause', takes: '', does: 'stop the open rollout where it is; whoever drives it waits' },
  { verb: 'resume', takes: '', does: 'let a paused rollout go on' },
  { verb: 'promote', takes: '', does: 'let the stage pass that waits for approval' },
  { verb: 'abort', takes: '', does: 'end the open rollout and leave every node as it is; rollback would take it back' },
  { verb: 'retry', takes: '[node...]', does: 'ask nodes that failed the build once more' },
  { verb: 'waive', takes: '<node...>', does: 'go on without waiting for a node; it stays counted and shown' },
  { verb: 'unwaive', takes: '<node...>', does: 'take a waiver back: the node is waited for again' },
  { verb: 'handover', takes: '', does: 'name another commander of the open rollout', to: true },
  {
    verb: 'hold',
    takes: '',
    does: 'stop the line: nothing advances, in the app or in --ring; rollback works',
    expires: true,
  },
  { verb: 'unhold', takes: '', does: 'lift the hold of the app, or of --ring' },
  { verb: 'quarantine', takes: '<build>', does: 'forbid a build: nobody and nothing releases it' },
  { verb: 'clear', takes: '<build>', does: 'lift the quarantine of a build' },
  { verb: 'pin', takes: '<node>', does: 'keep a node on what it runs', expires: true },
  { verb: 'unpin', takes: '<node>', does: 'let a pinned node follow its orders again' },
  { verb: 'forget', takes: '<node>', does: 'take a node that is gone for good out of the roster' },
]

const WAIT_MS = 25_000

export function registerVerbs(program: Command, changing: (command: Command) => Command, register: Register): void {
  for (const { verb, takes, does, expires, to } of LINES) {
    const command = changing(program.command(takes === '' ? verb : `${verb} ${takes}`)).description(does)
    if (expires === true) command.option('--expires <time>', 'when it ends by itself: 90m, 4h, 2d, or a time')
    if (to === true) command.requiredOption('--to <name>', 'who takes over')
    register(verb, command, (bench, options, words) =>
      operate(bench, {
        verb,
        words,
        reason: options.reason ?? '',
        to: textOf(options.to),
        expires: textOf(options.expires),
        dryRun: options.dryRun === true,
        timeoutMs: options.timeout ?? WAIT_MS,
      }),
    )
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

// Owns `conduct sim`: runs seeds, says what each came to, and for a broken one how to see it again.
import type { SimCommand } from '#conductor/cli/program.ts'
import type { Output } from '#conductor/cli/world.ts'
import { formatBytes, formatDuration } from '#fleet/duration.ts'
import type { Clock } from '#fleet/ports.ts'
import { CHECKS } from './checks.ts'
import { readFaults } from './faults.ts'
import { type Report, simulate } from './run.ts'

/** @returns 1 when a check was broken. @throws FleetError `USAGE` for a fault that there is not */
export async function sim(
  command: SimCommand,
  world: { readonly stdout: Output; readonly stderr: Output; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<number> {
  const { stdout, stderr, clock, signal } = world
  const faults = readFaults(command.faults)
  const { nodes } = command
  const say = (line: string): void => void (command.json ? stderr : stdout).write(`${line}\n`)
  const onLine = command.events ? say : () => undefined
  const began = clock.monotonic()
  const broken: Report[] = []
  let total = NOTHING
  let last: Report | null = null
  for (let seed = command.seed; seed < command.seed + command.seeds && !signal.aborted; seed += 1) {
    last = await simulate({ nodes, seed, faults, onLine })
    total = added(total, last)
    if (last.violation === null) continue
    broken.push(last)
    if (!command.json) for (const line of failure(last, command)) say(line)
  }
  const ms = clock.monotonic() - began
  if (command.json) {
    const found = broken.map((report) => ({ ...report, replay: replayOf(report, command) }))
    const document = { nodes, faults: command.faults, seed: command.seed, ...total, ms: Math.round(ms), broken: found }
    stdout.write(`${JSON.stringify({ ...document, last }, null, 2)}\n`)
  } else {
    for (const line of summary(total, last, command, ms)) say(line)
  }
  return broken.length > 0 || signal.aborted ? 1 : 0
}

const NOTHING = { seeds: 0, virtualMs: 0, happened: 0, orders: 0, turns: 0, swaps: 0, fetchedBytes: 0 }

function added(total: typeof NOTHING, report: Report): typeof NOTHING {
  return {
    seeds: total.seeds + 1,
    virtualMs: total.virtualMs + report.virtualMs,
    happened: total.happened + report.events,
    orders: total.orders + report.orders,
    turns: total.turns + report.turns,
    swaps: total.swaps + report.swaps,
    fetchedBytes: total.fetchedBytes + report.fetchedBytes,
  }
}

function replayOf({ nodes, seed }: Report, { faults }: SimCommand): string {
  return `conduct sim --nodes ${nodes} --seed ${seed} --faults ${faults} --events`
}

/** Also what a test prints of a seed that broke. */
export function failure(report: Report, command: SimCommand): readonly string[] {
  if (report.violation === null) return []
  const { check, message, atMs } = report.violation
  return [
    `Seed ${report.seed} broke "${check}" after ${formatDuration(atMs)}: ${message}`,
    `  ${check}: ${CHECKS[check]}`,
    ...report.lastLines.map((line) => `  ${line}`),
    `To see it again: ${replayOf(report, command)}`,
  ]
}

function summary(total: typeof NOTHING, last: Report | null, { nodes, faults }: SimCommand, ms: number) {
  const { seeds, virtualMs, happened, orders, turns, swaps, fetchedBytes } = total
  const what = `${seeds} ${seeds === 1 ? 'seed' : 'seeds'} of ${nodes} nodes with faults ${faults}`
  const seen = `${happened} events, ${turns} transactions, ${orders} orders, ${swaps} swaps, ${formatBytes(fetchedBytes)} fetched`
  const ends = Object.entries(last?.rollouts ?? {}).map(([id, phase]) => `${id} ${phase}`)
  return [
    `${what}: ${formatDuration(virtualMs)} of their time in ${formatDuration(ms)}.`,
    `${seen}.`,
    ...(seeds === 1 && ends.length > 0 ? [`Rollouts: ${ends.join(', ')}.`] : []),
    ...(last?.violation === null ? [`Checked at every step: ${Object.keys(CHECKS).join(', ')}.`] : []),
  ]
}

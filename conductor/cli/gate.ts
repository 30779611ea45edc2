// Owns `conduct gate backtest`: what the gates of the config would have said in past rollouts, beside what they said then.

import { type Backtest, backtest, type Replay } from '#conductor/core/backtest.ts'
import type { PastRollout } from '#conductor/core/past.ts'
import { askAgain } from '#conductor/shell/live.ts'
import { readPast } from '#conductor/shell/past.ts'
import { FleetError } from '#fleet/errors.ts'
import { plain } from './reporter.ts'
import { columns, counted, listed } from './words.ts'
import type { Bench } from './world.ts'

export async function gateBacktest(
  bench: Bench,
  options: { readonly gate: string | null; readonly limit: number; readonly live: boolean },
): Promise<number> {
  const { app, ports, report, signal } = bench
  const gates = options.gate === null ? bench.gates : bench.gates.filter(({ name }) => name === options.gate)
  if (gates.length === 0) throw new FleetError('USAGE', missing(bench, options.gate))
  const kept = await readPast(ports, signal)
  const tests: Backtest[] = []
  for (const gate of gates) {
    const past = options.live ? await askAgain(gate, kept, { app, ...options }, ports.metrics, signal) : kept
    tests.push(limited(backtest(gate, past), kept.slice(0, options.limit)))
  }
  if (report.json) {
    report.document({ app, rollouts: Math.min(kept.length, options.limit), gates: tests })
    return 0
  }
  if (kept.length === 0) report.result(`Nothing was released to ${app} yet: there is nothing to replay.`)
  else for (const one of tests) for (const line of linesOf(one, report.paint.dim)) report.result(line)
  return 0
}

function missing({ gates }: Bench, asked: string | null): string {
  if (gates.length === 0) return 'the config has no gates: there is nothing to replay'
  const known = listed(
    gates.map(({ name }) => name),
    12,
  )
  return `the config has no gate ${asked}, there ${gates.length === 1 ? 'is' : 'are'} ${known}`
}

/** Older rollouts are looked at for z-scores, and not shown. */
function limited(test: Backtest, shown: readonly PastRollout[]): Backtest {
  const ids = new Set(shown.map(({ rollout }) => rollout))
  const replays = test.replays.filter(({ rollout }) => ids.has(rollout))
  return { ...test, replays, neverHadData: replays.length > 0 && replays.every(({ hadData }) => !hadData) }
}

function linesOf({ gate, replays, neverHadData }: Backtest, dim: (text: string) => string): readonly string[] {
  if (replays.length === 0)
    return [`${gate}: nothing of it was kept in any of these rollouts; --live asks Prometheus for their time.`, '']
  const rows = replays.map((one) => [
    one.rollout,
    one.build,
    one.outcome ?? 'open',
    `${one.ring} ${one.share}%`,
    one.said ?? '-',
    one.wouldSay,
    why(one),
  ])
  const [header = '', ...lines] = columns([['ROLLOUT', 'BUILD', 'ENDED', 'STAGE', 'SAID', 'WOULD SAY', 'WHY'], ...rows])
  const rollouts = new Set(replays.map(({ rollout }) => rollout)).size
  const summary = neverHadData
    ? `${gate} never had data in ${counted(rollouts, 'rollout')}: look at its query, it protects nobody.`
    : `${gate}: ${changes(replays)} in ${counted(rollouts, 'rollout')}.`
  return [summary, `  ${dim(header)}`, ...lines.map((line) => `  ${line}`), '']
}

function why({ message, reads }: Replay): string {
  return `${plain(message)} (${counted(reads, 'reading')})`
}

/** How today's verdicts differ from those of then. */
function changes(replays: readonly Replay[]): string {
  const parts = (['fail', 'pass', 'inconclusive'] as const).flatMap((now) => {
    const count = replays.filter(
      (one) => one.wouldSay === now && one.said !== now && (one.said !== null || now !== 'pass'),
    ).length
    return count === 0
      ? []
      : [`${counted(count, 'stage')} would ${now === 'inconclusive' ? 'hold' : now} that did not then`]
  })
  return parts.length === 0 ? 'it says the same as then' : parts.join(', ')
}

// Owns gathering the facts of the config: mistakes, the schedule, addresses of gates, programs, and which pullers are configured here.
import { readdir } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { ConductKept } from '#conductor/config-doctor.ts'
import type { ConfigFacts, GateFacts, ProgramFacts } from '#conductor/core/doctor-config.ts'
import { describeError, isFleetError } from '#fleet/errors.ts'
import { look } from './look.ts'
import type { PullerFile } from './node.ts'
import type { Doctoring } from './ports.ts'
import { programFacts, type Runs } from './programs.ts'

const GATE_MS = 5_000
/** Where `systemd/install` lays configurations of pullers, and where a puller looks that is told nothing. */
const PULLERS = '/etc/hotcold/puller'
const PULLER = '/etc/hotcold/puller.yaml'

/** What reading throws, as a sentence; null: it is in order. */
export function problemOf(read: () => void): string | null {
  try {
    read()
    return null
  } catch (error) {
    return isFleetError(error) ? error.message : describeError(error)
  }
}

export function scheduleFacts(kept: ConductKept, dir: string, { checkSchedule }: Doctoring): ConfigFacts['schedule'] {
  if (kept.schedule === undefined) return null
  const file = resolve(dir, kept.schedule)
  return { file, problem: problemOf(() => checkSchedule(file)) }
}

/** Whether something answers where gates ask. Prometheus is asked for the number 1, others only at the root of their address. */
export async function gateFacts(kept: ConductKept, { signal }: Doctoring): Promise<readonly GateFacts[]> {
  const asked = kept.gates.flatMap((gate) => (gate.kind === 'command' ? [] : [gate]))
  return Promise.all(
    asked.map(async ({ kind, name, url, headers }) => {
      const metrics = kind === 'prometheus'
      const address = metrics ? `${url.replace(/\/+$/, '')}/api/v1/query?query=1` : originOf(url)
      const status = await look(GATE_MS, signal, async (one) => {
        const answer = await fetch(address, { headers, redirect: 'manual', signal: one })
        await answer.body?.cancel()
        return answer.status
      })
      return { name, url: metrics ? url : address, status, expected: metrics ? 200 : null }
    }),
  )
}

/** Without the path: it may do something, and may hold words of a rollout. */
function originOf(url: string): string {
  return /^https?:\/\/[^/]+/.exec(url)?.[0] ?? url
}

export async function conductPrograms(
  kept: ConductKept,
  runs: Runs,
  { signal }: Doctoring,
): Promise<readonly ProgramFacts[]> {
  const { gates, plan = [], afterRollout } = kept
  const named = [
    ...gates.flatMap((gate) => (gate.kind === 'command' ? [[`gate ${gate.name}`, gate.argv] as const] : [])),
    ...plan.flatMap(({ ring, smoke }) => (smoke === undefined ? [] : [[`smoke test of ${ring}`, smoke] as const])),
    ...(afterRollout === undefined ? [] : [['afterRollout', afterRollout] as const]),
  ]
  return Promise.all(named.map(([of, argv]) => programFacts(of, argv, runs, signal)))
}

/** @param named files to look at in place of those that are found */
export async function pullerFiles(named: readonly string[], doctoring: Doctoring): Promise<readonly PullerFile[]> {
  const { cwd, keepPuller } = doctoring
  const files = named.length > 0 ? named.map((file) => resolve(cwd, file)) : await found()
  return files.map((file) => {
    let kept: PullerFile['kept'] = null
    problemOf(() => {
      kept = keepPuller(file)
    })
    return { name: basename(file).replace(/\.ya?ml$/, ''), file, kept, hasUnit: dirname(file) === PULLERS }
  })
}

async function found(): Promise<readonly string[]> {
  const [names, beside] = await Promise.all(
    [PULLERS, dirname(PULLER)].map((dir) => readdir(dir).catch((): string[] => [])),
  )
  const alone = beside?.includes(basename(PULLER)) ? [PULLER] : []
  return [...(names ?? []).filter((name) => name.endsWith('.yaml')).map((name) => `${PULLERS}/${name}`), ...alone]
}

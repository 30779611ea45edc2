// Owns the judgement of what was seen of the configuration: the file, its rings, schedule, gates and programs.
import type { CheckCode } from './doctor-checks.ts'
import { type Finding, finding, type Looked, told } from './finding.ts'

/** A program that a config names. `found` is its path; null: there is none. */
export interface ProgramFacts {
  readonly of: string
  readonly program: string
  readonly found: string | null
  readonly executable: boolean
}

export interface GateFacts {
  readonly name: string
  readonly url: string
  /** HTTP status of the answer. */
  readonly status: Looked<number>
  /** The only one that means that it does its work; null: any below 500 may. */
  readonly expected: number | null
}

export interface ConfigFacts {
  /** The config of conduct; null: there is none, and `looked` names where it was looked for. */
  readonly file: string | null
  readonly looked: readonly string[]
  readonly problem: string | null
  readonly app: string | null
  /** Configurations of pullers on this machine. */
  readonly pullers: number
  /** Rings without a target key. */
  readonly rings: Looked<{ readonly named: readonly string[]; readonly missing: readonly string[] }>
  /** Null: none is named. */
  readonly schedule: { readonly file: string; readonly problem: string | null } | null
  readonly gates: readonly GateFacts[]
  readonly programs: readonly ProgramFacts[]
}

export function configFindings(facts: ConfigFacts): readonly Finding[] {
  const { schedule } = facts
  const file = facts.file ?? 'the config'
  return [
    fileFinding(facts),
    told(
      'config-rings',
      'conduct',
      facts.rings,
      ({ named, missing }) =>
        missing.length === 0
          ? finding('config-rings', 'conduct', 'ok', `There are target keys for ${named.join(', ')}`)
          : finding('config-rings', 'conduct', 'wrong', `There is no target key for ${missing.join(', ')}`),
      {},
      'unseen',
    ),
    ...(schedule === null ? [] : [scheduleFinding(schedule)]),
    ...facts.gates.map((gate) => gateFinding(gate, file)),
    ...programFindings('config-command', 'conduct', facts.programs, file),
  ]
}

function fileFinding({ file, looked, problem, app, pullers }: ConfigFacts): Finding {
  const where = looked.join(', ')
  if (problem !== null) return finding('config-file', 'conduct', 'wrong', problem, { file: file ?? looked[0] ?? 'it' })
  if (file !== null) return finding('config-file', 'conduct', 'ok', `${file} is in order`)
  const words = { file: looked.at(-1) ?? 'one' }
  if (app !== null) return finding('config-file', 'conduct', 'warning', `There is no config (${where})`, words)
  if (pullers > 0) return finding('config-file', 'conduct', 'unseen', 'There is none: this machine has pullers alone')
  const none = `There is no config of conduct (${where}), and none of a puller (/etc/hotcold)`
  return finding('config-file', 'conduct', 'wrong', none, words)
}

function scheduleFinding({ file, problem }: NonNullable<ConfigFacts['schedule']>): Finding {
  return problem === null
    ? finding('config-schedule', 'conduct', 'ok', `${file} is in order`)
    : finding('config-schedule', 'conduct', 'wrong', problem, { file })
}

function gateFinding({ name, url, status, expected }: GateFacts, file: string): Finding {
  const about = `gate ${name}`
  return told(
    'config-gate',
    about,
    status,
    (code) => {
      const odd = expected === null ? code >= 500 || code === 401 || code === 403 : code !== expected
      return finding('config-gate', about, odd ? 'warning' : 'ok', `${url} answers ${code}`, { url, file })
    },
    { url, file },
  )
}

/** Programs that cannot be run, one finding each; one for all where they all can. */
export function programFindings(
  code: CheckCode & ('config-command' | 'hook-program'),
  about: string,
  programs: readonly ProgramFacts[],
  file: string,
): readonly Finding[] {
  const bad = programs.filter(({ found, executable }) => found === null || !executable)
  if (programs.length > 0 && bad.length === 0) {
    const names = [...new Set(programs.map(({ found }) => found))].join(', ')
    return [finding(code, about, 'ok', `There to be run: ${names}`)]
  }
  return bad.map(({ of, program, found }) => {
    const what = found === null ? `${program} is nowhere to be found` : `${found} may not be executed`
    return finding(code, about, 'wrong', `${of}: ${what}`, { program: found ?? program, file })
  })
}

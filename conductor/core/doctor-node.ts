// Owns the judgement of a puller's place: its configuration, root, room, hooks and unit.
import { formatBytes } from '#fleet/duration.ts'
import { type ProgramFacts, programFindings } from './doctor-config.ts'
import { type Finding, finding, type Looked, told } from './finding.ts'

export interface RootFacts {
  /** What stands at the root's path. */
  readonly is: 'directory' | 'link' | 'nothing' | 'other'
  /** Parts of it that lie on another file system than itself. */
  readonly elsewhere: readonly string[]
  readonly mount: { readonly at: string; readonly type: string; readonly options: readonly string[] }
  readonly freeBytes: number
  /** Null: the file system has no fixed number of them. */
  readonly freeInodes: number | null
  /** The user that the unit runs as, else whoever asks. */
  readonly user: string
  readonly writable: boolean
}

export interface UnitFacts {
  readonly unit: string
  readonly load: string
  readonly active: string
  readonly enabled: string
  readonly restarts: number
  /** How it ended last, like `success` or `exit-code`. */
  readonly result: string
  /** Null: the file of this installation, or that of the unit, could not be read. */
  readonly differs: boolean | null
}

export interface PullerFacts {
  readonly name: string
  readonly file: string
  /** Empty: the puller finds it in order. */
  readonly problem: Looked<string>
  readonly root: { readonly path: string; readonly facts: Looked<RootFacts> } | null
  /** What the newest build takes on disk. */
  readonly build: Looked<{ readonly bytes: number; readonly inodes: number }>
  readonly programs: readonly ProgramFacts[]
  /** Units that hooks reload by systemctl, and whether a rule of polkit names them. */
  readonly reloads: readonly { readonly unit: string; readonly allowed: Looked<boolean> }[]
  readonly unit: Looked<UnitFacts>
  /** Where a secret must lie that the configuration reads from its unit's credentials. */
  readonly credentials: readonly { readonly file: string; readonly there: Looked<boolean> }[]
}

export function pullerFindings(facts: PullerFacts): readonly Finding[] {
  const about = `puller ${facts.name}`
  const { file, root } = facts
  return [
    told(
      'config-puller',
      about,
      facts.problem,
      (problem) =>
        problem === ''
          ? finding('config-puller', about, 'ok', `${file} is in order`)
          : finding('config-puller', about, 'wrong', problem, { file }),
      { file },
    ),
    ...(root === null
      ? [finding('disk-root', about, 'unseen', 'The configuration names no root that can be read')]
      : rootFindings(about, root.path, root.facts, facts.build)),
    ...programFindings('hook-program', about, facts.programs, file),
    ...facts.reloads.map(({ unit, allowed }) =>
      told('hook-reload', about, allowed, (yes) =>
        yes
          ? finding('hook-reload', about, 'ok', `A rule of polkit names ${unit}`)
          : finding('hook-reload', about, 'warning', `No rule of polkit names ${unit}`, { unit }),
      ),
    ),
    ...unitFindings(about, `puller@${facts.name}`, facts.unit),
    ...facts.credentials.map(({ file, there }) => credentialFinding(about, file, there)),
  ]
}

/** @param part what `systemd/install` calls it */
export function unitFindings(about: string, part: string, looked: Looked<UnitFacts>): readonly Finding[] {
  return [
    told('unit-state', about, looked, (unit) => stateFinding(about, part, unit), {}, 'unseen'),
    told('unit-file', about, looked, (unit) => fileFinding(about, part, unit), {}, 'unseen'),
  ]
}

export function credentialFinding(about: string, file: string, there: Looked<boolean>): Finding {
  const words = { file, unit: about === 'conduct' ? 'hotcold-conductor' : `hotcold-${about.replace(' ', '@')}` }
  return told('unit-credentials', about, there, (yes) =>
    yes
      ? finding('unit-credentials', about, 'ok', `${file} is there`)
      : finding('unit-credentials', about, 'wrong', `${file} is not there`, words),
  )
}

const OFTEN = 3

function stateFinding(about: string, part: string, unit: UnitFacts): Finding {
  const name = unit.unit
  const at = (outcome: Finding['outcome'], sentence: string, todo: string) =>
    finding('unit-state', about, outcome, sentence, { todo })
  if (unit.load !== 'loaded') return at('wrong', `${name} is not installed`, `systemd/install ${part}`)
  const start = `journalctl -u ${name} says why, then systemctl enable --now ${name}`
  if (!['active', 'activating', 'reloading'].includes(unit.active)) {
    const end = unit.result === 'success' ? '' : `, and ended by ${unit.result}`
    return at('wrong', `${name} is ${unit.active}${end}`, start)
  }
  if (unit.active !== 'active') return at('warning', `${name} is ${unit.active}`, start)
  if (unit.restarts >= OFTEN)
    return at('warning', `${name} was started anew ${unit.restarts} times`, `journalctl -u ${name} says why`)
  if (!unit.enabled.startsWith('enabled'))
    return at('warning', `${name} runs, and does not start at boot`, `systemctl enable ${name}`)
  return at('ok', `${name} runs and starts at boot, ${unit.restarts} restarts`, '')
}

function fileFinding(about: string, part: string, { unit, load, differs }: UnitFacts): Finding {
  if (load !== 'loaded') return finding('unit-file', about, 'unseen', `${unit} is not installed`)
  if (differs === null) return finding('unit-file', about, 'unseen', `The file of ${unit} could not be read`)
  const sentence = `${unit} ${differs ? 'differs from the one' : 'is the one'} of this version`
  return finding('unit-file', about, differs ? 'warning' : 'ok', sentence, { part, unit })
}

function rootFindings(
  about: string,
  root: string,
  looked: Looked<RootFacts>,
  build: PullerFacts['build'],
): readonly Finding[] {
  const todo = { todo: `look whether the volume of ${root} is there and answers` }
  return [
    told('disk-root', about, looked, (facts) => rootFinding(about, root, facts), todo),
    told('disk-owner', about, looked, (facts) => ownerFinding(about, root, facts), {}, 'unseen'),
    told('disk-room', about, looked, (facts) => roomFinding(about, root, facts, build), {}, 'unseen'),
  ]
}

function rootFinding(about: string, root: string, { is, elsewhere, mount }: RootFacts): Finding {
  const at = (outcome: Finding['outcome'], sentence: string, todo: string) =>
    finding('disk-root', about, outcome, sentence, { todo })
  const { type, options } = mount
  const own = `make ${root} a directory of a volume of its own (ext4, xfs)`
  if (is === 'nothing') return at('wrong', `${root} is not there`, `systemd/install makes it; or mount its volume`)
  if (is === 'link') return at('wrong', `${root} is a symbolic link`, 'write the real path into the configuration')
  if (is !== 'directory') return at('wrong', `${root} is not a directory`, own)
  if (elsewhere.length > 0)
    return at('wrong', `${elsewhere.join(', ')} lies on another file system than ${root}: the puller refuses it`, own)
  if (options.includes('ro'))
    return at('wrong', `${mount.at} (${type}) is mounted read-only`, `mount -o remount,rw ${mount.at}`)
  if (type === 'overlay')
    return at('warning', `${root} is on an overlay, whose files may seem to lie on several devices`, own)
  return at('ok', `${root} is on ${type}, mounted at ${mount.at} with ${options.join(',')}`, '')
}

function ownerFinding(about: string, root: string, { is, user, writable }: RootFacts): Finding {
  if (is !== 'directory') return finding('disk-owner', about, 'unseen', `${root} is no directory`)
  return writable
    ? finding('disk-owner', about, 'ok', `${user} may write to ${root}`)
    : finding('disk-owner', about, 'wrong', `${user} may not write to ${root}`, { user, root })
}

function roomFinding(about: string, root: string, facts: RootFacts, build: PullerFacts['build']): Finding {
  if (facts.is !== 'directory') return finding('disk-room', about, 'unseen', `${root} is no directory`)
  const { freeBytes, freeInodes, mount } = facts
  const inodes = freeInodes === null ? 'inodes without limit' : `${freeInodes} inodes`
  const free = `${formatBytes(freeBytes)} and ${inodes} are free at ${mount.at}`
  const words = { volume: mount.at, root }
  if (build.kind !== 'seen') {
    const why = build.kind === 'unseen' ? build.why : build.detail
    return finding('disk-room', about, 'unseen', `${free}; the size of the newest build is not known: ${why}`, words)
  }
  const { bytes, inodes: names } = build.value
  const lacks = (times: number) => freeBytes < bytes * times || (freeInodes !== null && freeInodes < names * times)
  const takes = `${free}; the newest build takes ${formatBytes(bytes)} and ${names} inodes`
  return finding('disk-room', about, lacks(1) ? 'wrong' : lacks(2) ? 'warning' : 'ok', takes, words)
}

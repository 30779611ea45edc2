// Owns the journal's form on disk: written by this version, read from this or an older one, never guessed at.

import { isBuildId, isDigest } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import { PHASES, type Phase } from '#fleet/node-status.ts'
import type { Journal } from './recover.ts'
import type { Held } from './state.ts'

const VERSION = 1

export function encodeJournal(journal: Journal): object {
  return { v: VERSION, ...journal }
}

type Fields = ReadonlyMap<string, unknown>

function invalid(what: string): FleetError {
  return new FleetError(
    'JOURNAL_INVALID',
    `the journal was unreadable (${what}) and is rebuilt from the trees and their seals`,
  )
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what} is no object`)
  return new Map(Object.entries(value))
}

function text(fields: Fields, name: string): string {
  const value = fields.get(name)
  if (typeof value !== 'string') throw invalid(`${name} is no text`)
  return value
}

function textOrNull(fields: Fields, name: string): string | null {
  return fields.get(name) === null ? null : text(fields, name)
}

function count(fields: Fields, name: string): number {
  const value = fields.get(name)
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw invalid(`${name} is no number`)
  return value
}

function flag(fields: Fields, name: string): boolean {
  const value = fields.get(name)
  if (typeof value !== 'boolean') throw invalid(`${name} is neither true nor false`)
  return value
}

function held(value: unknown, what: string): Held {
  const fields = fieldsOf(value, what)
  const build = text(fields, 'build')
  const manifest = text(fields, 'manifest')
  if (!isBuildId(build) || !isDigest(manifest)) throw invalid(`${what} names no build`)
  return { build, manifest }
}

function heldOrNull(value: unknown, what: string): Held | null {
  return value === null ? null : held(value, what)
}

function oneOf<word extends string>(fields: Fields, name: string, words: readonly word[]): word {
  const value = text(fields, name)
  const found = words.find((word) => word === value)
  if (found === undefined) throw invalid(`${name} is ${value}`)
  return found
}

const JOBS = ['stage', 'wait', 'turn', 'drain', 'swap', 'undrain', 'afterSwap', 'verify', 'afterVerify'] as const
const KINDS = ['swap', 'restart', 'recover'] as const

function moveOf(value: unknown): Journal['move'] {
  if (value === null) return null
  const fields = fieldsOf(value, 'move')
  return {
    kind: oneOf(fields, 'kind', KINDS),
    to: held(fields.get('to'), 'move.to'),
    from: heldOrNull(fields.get('from'), 'move.from'),
    activation: textOrNull(fields, 'activation'),
  }
}

function refusalOf(value: unknown): Journal['refusals'][number] {
  const fields = fieldsOf(value, 'a refusal')
  const { build, manifest } = held(value, 'a refusal')
  return {
    build,
    manifest,
    attempt: count(fields, 'attempt'),
    code: text(fields, 'code'),
    message: text(fields, 'message'),
  }
}

function standOf(value: unknown): Journal['stand'] {
  if (value === null) return null
  const fields = fieldsOf(value, 'stand')
  const build = textOrNull(fields, 'build')
  if (build !== null && !isBuildId(build)) throw invalid('stand names no build')
  return {
    code: text(fields, 'code'),
    message: text(fields, 'message'),
    manual: heldOrNull(fields.get('manual'), 'stand.manual'),
    rollout: text(fields, 'rollout'),
    build,
    generation: count(fields, 'generation'),
    attempt: count(fields, 'attempt'),
    activation: textOrNull(fields, 'activation'),
  }
}

function crashesOf(value: unknown): Journal['crashes'] {
  const fields = fieldsOf(value, 'crashes')
  const phases: Partial<Record<Phase, number>> = {}
  const counted = fieldsOf(fields.get('phases'), 'crashes.phases')
  for (const phase of PHASES) if (counted.has(phase)) phases[phase] = count(counted, phase)
  return { key: text(fields, 'key'), phases }
}

function list(fields: Fields, name: string): readonly unknown[] {
  const value = fields.get(name)
  if (!Array.isArray(value)) throw invalid(`${name} is no list`)
  return value
}

/**
 * Reads a journal; null when there is none.
 * @throws FleetError `JOURNAL_INVALID`: history is lost, state is not · `JOURNAL_TOO_NEW`: a newer puller wrote it, and this one must not guess
 */
export function decodeJournal(value: unknown): Journal | null {
  if (value === null) return null
  const fields = fieldsOf(value, 'it')
  if (count(fields, 'v') > VERSION) {
    throw new FleetError(
      'JOURNAL_TOO_NEW',
      `the journal is of version ${count(fields, 'v')}, this puller reads ${VERSION}`,
    )
  }
  return {
    phase: oneOf(fields, 'phase', PHASES),
    job: fields.get('job') === null ? null : oneOf(fields, 'job', JOBS),
    verified: flag(fields, 'verified'),
    out: flag(fields, 'out'),
    hotDrift: list(fields, 'hotDrift').filter((path) => typeof path === 'string'),
    move: moveOf(fields.get('move')),
    previous: heldOrNull(fields.get('previous'), 'previous'),
    activated: textOrNull(fields, 'activated'),
    refusals: list(fields, 'refusals').map(refusalOf),
    stand: standOf(fields.get('stand')),
    crashes: crashesOf(fields.get('crashes')),
  }
}

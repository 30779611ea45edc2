// Owns the shape of a reason: a case of a row of the table, with its words filled in.
import type { ReasonSpec } from './reasons.ts'

/** One subject, and the one reason for its state. */
export interface Why {
  /** Id of the rollout, name of the ring or of the node. */
  readonly about: string
  readonly code: string
  readonly title: string
  /** The facts that it was told from, in sentences. */
  readonly evidence: readonly string[]
  /** Whom it is about; empty where it is about no node. */
  readonly nodes: readonly string[]
  readonly next: string
  readonly when: string
  readonly command: string
  /** It stands or waits: false where all is as ordered. */
  readonly waits: boolean
  /** Codes of what else holds it, beside the primary one. */
  readonly also: readonly string[]
}

/** Facts that stand for the words in braces of a row. */
export type Words = Readonly<Record<'app' | 'build' | 'id' | 'ring' | 'node', string>>

export function filled(text: string, words: Words): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const word = Object.hasOwn(words, name) ? words[name as keyof Words] : whole
    return word === '' ? name.toUpperCase() : word
  })
}

export interface Case {
  readonly about: string
  readonly code: string
  readonly spec: ReasonSpec
  readonly words: Words
  readonly evidence: readonly string[]
  readonly nodes?: readonly string[]
  readonly when?: string | null
  readonly waits: boolean
  readonly also?: readonly string[]
  readonly over?: boolean
}

export function told({ about, code, spec, words, evidence, nodes = [], when, waits, also = [], over }: Case): Why {
  const next = over === true ? (spec.over ?? spec.next) : spec.next
  return {
    about,
    code,
    title: spec.title,
    evidence: [...new Set(evidence)],
    nodes,
    next: filled(next, words),
    when: over === true && spec.over !== undefined ? 'it is over' : (when ?? filled(spec.when, words)),
    command: filled(spec.command, words),
    waits,
    also,
  }
}

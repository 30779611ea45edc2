// Owns what `conduct doctor` says of one check: how it came out, what was seen, and what to do.
import { type Area, CHECKS, type CheckCode, type CheckSpec } from './doctor-checks.ts'

/** `unseen`: it was not looked at, and `seen` says why. */
export type Outcome = 'ok' | 'warning' | 'wrong' | 'unseen'

export interface Finding {
  readonly code: CheckCode
  readonly area: Area
  /** Whose it is: `conduct`, `puller web`, `machine`. */
  readonly about: string
  readonly outcome: Outcome
  /** One sentence, without its full stop. */
  readonly seen: string
  /** A command or an action; null where nothing is to be done. */
  readonly todo: string | null
}

/** What was looked for: found out, or why not. `failed` says that the looking itself failed, `unseen` that it was not begun. */
export type Looked<value> =
  | { readonly kind: 'seen'; readonly value: value }
  | { readonly kind: 'failed'; readonly code: string; readonly detail: string }
  | { readonly kind: 'unseen'; readonly why: string }

export function seen<value>(value: value): Looked<value> {
  return { kind: 'seen', value }
}

export function unseen(why: string): { readonly kind: 'unseen'; readonly why: string } {
  return { kind: 'unseen', why }
}

/** Words for the braces of the row's `todo`. */
export type TodoWords = Readonly<Record<string, string>>

/** A finding of the row `code`; what to do is the row's, its words filled in. */
export function finding(
  code: CheckCode,
  about: string,
  outcome: Outcome,
  sentence: string,
  words: TodoWords = {},
): Finding {
  const spec: CheckSpec = CHECKS[code]
  const todo = spec.todo.replace(/\{(\w+)\}/g, (whole, name: string) => words[name] ?? whole)
  const acts = outcome === 'warning' || outcome === 'wrong'
  return { code, area: spec.area, about, outcome, seen: sentence, todo: acts ? todo : null }
}

/** The finding of what was looked at; where it was not, that is said, and a failure counts as `wrong`, or as told. */
export function told<value>(
  code: CheckCode,
  about: string,
  looked: Looked<value>,
  judge: (value: value) => Finding,
  words: TodoWords = {},
  failed: Outcome = 'wrong',
): Finding {
  if (looked.kind === 'seen') return judge(looked.value)
  if (looked.kind === 'unseen') return finding(code, about, 'unseen', looked.why)
  return finding(code, about, failed, looked.detail, words)
}

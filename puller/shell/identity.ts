// Owns finding out which build gave an answer.
import type { BuildId } from '#fleet/build.ts'
import type { Answer } from './ask.ts'

/**
 * Where an answer carries its build: a header, a field of a JSON body (`build`, or `version.build` for one inside another), the text of the
 * body (the id alone or as a word of it), or nowhere.
 */
export type Identity = { readonly header: string } | { readonly json: string } | { readonly body: true } | 'off'

export type Answering = { readonly matches: true } | { readonly matches: false; readonly instead: string }

/** Whether the answer is of `build`; otherwise who answered, as the middle of a sentence: `was answered by b41`. */
export function answeringBuild(identity: Identity, answer: Answer, build: BuildId): Answering {
  if (identity === 'off') return { matches: true }
  if ('header' in identity) {
    const value = answer.headers[identity.header.toLowerCase()]
    const text = Array.isArray(value) ? value.join(', ') : value?.trim()
    return compare(text, build, `gave no header ${identity.header}`)
  }
  if ('json' in identity)
    return compare(fieldOf(answer.body, identity.json), build, `gave no JSON field ${identity.json}`)
  return wordIn(answer.body, build) ? { matches: true } : compare(idLike(answer.body), build, 'gave no build id')
}

function compare(found: string | undefined, build: BuildId, missing: string): Answering {
  if (found === build) return { matches: true }
  if (found === undefined || found === '') return { matches: false, instead: missing }
  return { matches: false, instead: `was answered by build ${printable(found)}` }
}

function fieldOf(body: string, path: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return undefined
  }
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = Object.getOwnPropertyDescriptor(value, key)?.value
  }
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

/** As a whole word: `1.2` is not in `1.2.3`, but it is in `runs 1.2.` */
function wordIn(body: string, build: string): boolean {
  const literal = build.replace(/[.\\+*?[^\]$(){}=!<>|:\-#]/g, '\\$&')
  return new RegExp(`(?<![A-Za-z0-9._-])${literal}(?![A-Za-z0-9_-]|\\.[A-Za-z0-9._-])`).test(body)
}

/** A body that is one short word is most likely the id of another build. */
function idLike(body: string): string | undefined {
  const text = body.trim()
  return /^\S{1,128}$/.test(text) ? text : undefined
}

function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?').slice(0, 128)
}

// Owns judging the answer of an HTTP gate: what was expected, and what came instead, in a sentence.
import type { Expected, Reading } from './gates.ts'

/** An answer with its whole body. */
export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

/** Pure. Redirects are answers too: nobody follows them. */
export function judgeAnswer(expected: Expected, { status, body }: HttpAnswer): Reading {
  const answer = (verdict: 'pass' | 'fail' | 'inconclusive', message: string): Reading => {
    return { type: 'answer', verdict, message }
  }
  if (expected.holdOn.includes(status)) return answer('inconclusive', `it answered ${status}: no verdict yet`)
  const right = expected.status === null ? status >= 200 && status <= 299 : status === expected.status
  const wanted = expected.status === null ? 'a status of 200 to 299' : `status ${expected.status}`
  if (!right) return answer('fail', `it answered ${status}, and ${wanted} was expected`)
  if (expected.text !== null && !body.includes(expected.text)) {
    return answer('fail', `its answer does not hold ${JSON.stringify(expected.text)}`)
  }
  const wrong = wrongIn(expected.json, body)
  return wrong === null ? answer('pass', `it answered ${status} as expected`) : answer('fail', wrong)
}

function wrongIn(expected: Expected['json'], body: string): string | null {
  const paths = Object.entries(expected)
  if (paths.length === 0) return null
  let document: unknown
  try {
    document = JSON.parse(body)
  } catch {
    return 'its answer is no JSON'
  }
  for (const [path, value] of paths) {
    const found = at(document, path.split('.'))
    if (found === value) continue
    const said = found === undefined ? 'is missing' : `is ${(JSON.stringify(found) ?? '').slice(0, 80)}`
    return `${path} of its answer ${said}, and ${JSON.stringify(value)} was expected`
  }
  return null
}

function at(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return at((value as Readonly<Record<string, unknown>>)[key], rest)
}

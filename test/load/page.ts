// Owns the page of the load proof: the two files that it is made of, and how an answer is judged.

/** A page is the first file and then the second, read through `hot` at two moments of one request. */
export const PAGE_FILES = ['layout.html', 'content.html'] as const

const FILLER = 'A line of a page that is long enough to be worth sending, and short enough to be cheap to make.\n'

/** The text of one of a build's two files. */
export function pageFile(name: (typeof PAGE_FILES)[number], build: string): string {
  return `<!-- ${name} of ${build} -->\n${FILLER.repeat(5)}`
}

/** What became of a request. Anything but a whole page of builds that were ordered is a failure. */
export type Verdict =
  | { readonly kind: 'served'; readonly build: string }
  | { readonly kind: 'mixed' | 'failed'; readonly why: string }

/** Judges the pages of an app of which only these builds were ever ordered: byte for byte. */
export function judgeOf(builds: readonly string[]): (status: number, body: string) => Verdict {
  const whole = new Map<string, string>()
  const mixtures = new Map<string, string>()
  for (const first of builds) {
    for (const second of builds) {
      const body = pageFile(PAGE_FILES[0], first) + pageFile(PAGE_FILES[1], second)
      if (first === second) whole.set(body, first)
      else mixtures.set(body, `layout of ${first}, content of ${second}`)
    }
  }
  return (status, body) => {
    if (status !== 200) return { kind: 'failed', why: `status ${status}: ${body.trim().slice(0, 80)}` }
    const build = whole.get(body)
    if (build !== undefined) return { kind: 'served', build }
    const mixture = mixtures.get(body)
    if (mixture !== undefined) return { kind: 'mixed', why: mixture }
    return { kind: 'failed', why: `no page of a build that was ordered: ${body.slice(0, 80)}` }
  }
}

// Owns where words go: results to stdout, progress to stderr, one live block on a terminal, and JSON instead of prose when asked.
import pc from 'picocolors'
import { ERRORS, type FleetError } from '#fleet/errors.ts'
import type { Logger } from '#fleet/ports.ts'
import type { Output } from './world.ts'

export type Paint = Pick<ReturnType<typeof pc.createColors>, 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'>

export interface Reporter {
  readonly json: boolean
  /** Colours of stdout and of stderr: the same text without any unless a terminal shows it. */
  readonly paint: Paint
  readonly paintAside: Paint
  /** A person watches stderr: a block may be drawn again in place. */
  readonly isLive: boolean
  /** A line of the result. */
  result(line: string): void
  /** The result of `--json`: one document. */
  document(value: unknown): void
  /** A line of progress. */
  say(line: string): void
  /** Replaces the live block; nothing where nobody watches. */
  draw(lines: readonly string[]): void
  /** Ends the live block: what it shows last stays. */
  settle(): void
}

/** Colours only on a terminal; NO_COLOR and a dumb terminal are honoured. */
function colours(output: Output, env: Readonly<Record<string, string | undefined>>): boolean {
  return output.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
}

const SEQUENCE = /\u001b\[[0-9;]*m/g

/** Characters that a terminal shows, colours not counted. */
export function widthOf(text: string): number {
  return text.replace(SEQUENCE, '').length
}

/** Control characters of foreign text (reasons, hook output) would move the cursor of whoever reads them. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/g, ' ')
}

export function createReporter(
  to: { readonly stdout: Output; readonly stderr: Output },
  env: Readonly<Record<string, string | undefined>>,
  json: boolean,
): Reporter {
  const { stdout, stderr } = to
  const isLive = stderr.isTTY === true && env.TERM !== 'dumb' && !json
  let drawn = 0
  const clear = (): void => {
    if (drawn > 0) stderr.write(`\u001b[${drawn}A\u001b[0J`)
    drawn = 0
  }
  const fit = (line: string): string => {
    const columns = stderr.columns ?? 80
    // A line that wraps would be two for the terminal and one for us: shorten it, without its colours.
    return widthOf(line) < columns ? line : `${line.replace(SEQUENCE, '').slice(0, columns - 2)}…`
  }
  return {
    json,
    isLive,
    paint: pc.createColors(colours(stdout, env)),
    paintAside: pc.createColors(colours(stderr, env)),
    result: (line) => void stdout.write(`${line}\n`),
    document: (value) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    say: (line) => {
      clear()
      stderr.write(`${line}\n`)
    },
    draw: (lines) => {
      if (!isLive) return
      clear()
      for (const line of lines) stderr.write(`${fit(line)}\n`)
      drawn = lines.length
    },
    settle: () => {
      drawn = 0
    },
  }
}

/** For verbs that a daemon carries out: their sentences go to its log. */
export function logged(log: Logger): Reporter {
  const say = (detail: string): void => log.info('said', { detail })
  const nothing = (): void => undefined
  const plainly = pc.createColors(false)
  const quiet = { json: false, isLive: false, draw: nothing, settle: nothing, document: nothing }
  return { ...quiet, paint: plainly, paintAside: plainly, result: say, say }
}

/** An error as a person reads it: what failed and the fact, then what helps. */
export function describeFailure(error: FleetError, detail: string): readonly string[] {
  const { title, fix } = { fix: undefined, ...ERRORS[error.code] }
  // What a puller would go on with; a verb has ended.
  const said = plain(detail).replace(/; (?:retrying|reconnecting)$/, '')
  const lines = [`${title}: ${said}.`.replace(/([.?])\.$/, '$1')]
  return fix === undefined ? lines : [...lines, `Try: ${fix}`]
}

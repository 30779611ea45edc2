// Owns durations as Consul writes and reads them: the notation of Go (`1m30s`, `250ms`).

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y

/** Milliseconds, or null when the text is no duration. A number without a unit is none, but `0` is. */
export function parseGoDuration(text: string): number | null {
  const sign = text.startsWith('-') ? -1 : 1
  const rest = /^[+-]/.test(text) ? text.slice(1) : text
  if (rest === '0') return 0
  let total = 0
  PART.lastIndex = 0
  let at = 0
  while (at < rest.length) {
    const part = PART.exec(rest)
    if (part === null) return null
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? Number.NaN)
    at = PART.lastIndex
  }
  return at === 0 ? null : sign * total
}

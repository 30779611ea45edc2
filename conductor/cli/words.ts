// Owns the small words of every face: counted nouns, builds, ages and bars, the same everywhere.
import { formatDuration } from '#fleet/duration.ts'

/** `1 node`, `3 nodes`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`
}

/** `a`, `a and b`, `a, b and 7 more`. */
export function listed(names: readonly string[], most = 3): string {
  if (names.length === 0) return 'none'
  if (names.length > most) return `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} more`
  return names.length === 1 ? `${names[0]}` : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

/** How long ago, in one unit: `12 s`, `3 min`, `2 h`, `5 d`. @param at ISO 8601 */
export function ageOf(at: string, nowMs: number): string {
  const then = Date.parse(at)
  if (Number.isNaN(then)) return 'unknown'
  const seconds = Math.max(0, Math.round((nowMs - then) / 1_000))
  if (seconds < 100) return `${seconds} s`
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`
}

/** From one ISO time to another or to now. */
export function lasted(from: string, to: string | null, nowMs: number): string {
  const end = to === null ? nowMs : Date.parse(to)
  return formatDuration(end - Date.parse(from))
}

export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - text.length))
}

/** Columns as wide as their widest cell, two spaces apart; the last one is not padded. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows.reduce<number[]>((most, row) => {
    row.forEach((cell, i) => {
      most[i] = Math.max(most[i] ?? 0, cell.length)
    })
    return most
  }, [])
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : pad(cell, widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

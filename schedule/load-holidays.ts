// Owns the public holidays of a country or region: the only file that asks the library for them.
import { FleetError } from '#fleet/errors.ts'

/**
 * Holidays of type public, by date; each year is looked up once.
 * @param region a state like BY, or a part of one like BY-A; null: the whole country
 * @throws FleetError `CONFIG_INVALID` for a country or region that the library does not know
 */
export async function publicHolidays(
  country: string,
  region: string | null,
  path: string,
): Promise<(date: string) => string | null> {
  // Only here: it brings the calendars of the whole world along.
  const { default: Holidays } = await import('date-holidays')
  const complain = (message: string) => new FleetError('CONFIG_INVALID', `${path}: "holidays": ${message}`)
  const countries = new Holidays().getCountries()
  if (!Object.hasOwn(countries, country)) throw complain(`no country ${country} is known; it is written like US or DE`)
  const [state, part] = region?.split('-') ?? []
  const states = new Holidays().getStates(country) ?? {}
  const parts = state === undefined ? {} : (new Holidays().getRegions(country, state) ?? {})
  const known = Object.keys(states).join(', ') || 'none'
  if (state !== undefined && !Object.hasOwn(states, state))
    throw complain(`${country} has no region ${state}, only ${known}`)
  if (part !== undefined && !Object.hasOwn(parts, part)) {
    throw complain(`${country} ${state} has no part ${part}, only ${Object.keys(parts).join(', ') || 'none'}`)
  }
  const book =
    state === undefined
      ? new Holidays(country)
      : part === undefined
        ? new Holidays(country, state)
        : new Holidays(country, state, part)
  const byYear = new Map<string, ReadonlyMap<string, string>>()
  return (day) => {
    const year = day.slice(0, 4)
    const found = byYear.get(year) ?? holidaysIn(book, year)
    byYear.set(year, found)
    return found.get(day) ?? null
  }
}

interface Book {
  getHolidays(year: number): readonly {
    readonly date: string
    readonly start: Date
    readonly end: Date
    readonly name: string
    readonly type: string
  }[]
}

const DAY_MS = 86_400_000

/** A holiday that is longer than a day is on each of its days; one of the next year may be kept in this one. */
function holidaysIn(book: Book, year: string): ReadonlyMap<string, string> {
  const all = [-1, 0, 1].flatMap((more) => book.getHolidays(Number(year) + more))
  const days = all
    .filter(({ type }) => type === 'public')
    .flatMap(({ date: at, start, end, name }) => {
      const length = Math.max(1, Math.round((end.getTime() - start.getTime()) / DAY_MS))
      const first = Temporal.PlainDate.from(at.slice(0, 10))
      return Array.from({ length }, (_, i): [string, string] => [first.add({ days: i }).toString(), name])
    })
  return new Map(days.filter(([day]) => day.startsWith(year)))
}

// Owns reading the text of the schedule file: what cannot be meant as a schedule is refused before anything parses it.
import { isUtf8 } from 'node:buffer'
import { readFile, stat } from 'node:fs/promises'
import { FleetError } from '#fleet/errors.ts'

/** Far more than a schedule of years has; what is much larger would keep a daemon parsing until its lease is lost. */
const MOST_BYTES = 128 * 1024

/** @throws FleetError `CONFIG_MISSING` · `CONFIG_INVALID` */
export async function scheduleText(path: string): Promise<string> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw invalid(`${path} is no file`)
    if (found.size > MOST_BYTES) throw invalid(`${path} has ${found.size} bytes, and a schedule at most ${MOST_BYTES}`)
    const bytes = await readFile(path)
    if (!isUtf8(bytes)) throw invalid(`${path} is not UTF-8`)
    const text = bytes.toString()
    if (saysNothing(text)) throw invalid(`${path} says nothing: one that means the defaults says timezone: UTC`)
    return text
  } catch (error) {
    if (error instanceof FleetError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new FleetError('CONFIG_MISSING', `there is no schedule file ${path}`)
    throw new FleetError('CONFIG_INVALID', `${path} cannot be read (${code})`, { cause: error })
  }
}

/** Nobody means slots and hours by a file that lost its text, as on a full disk: by the defaults it would deploy twelve times a day. */
const saysNothing = (text: string): boolean => text.split('\n').every((line) => /^\s*(#.*|---\s*)?$/.test(line))

const invalid = (message: string): FleetError => new FleetError('CONFIG_INVALID', message)

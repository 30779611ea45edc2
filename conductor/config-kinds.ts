// Owns the kinds of value that several keys of the configuration have.
import * as v from 'valibot'
import { NAME, type Name } from '#fleet/build.ts'

export const text = v.pipe(v.string(), v.minLength(1, 'must not be empty'))

export const name = v.pipe(
  v.string(),
  v.regex(NAME, 'must be a name of a-z, 0-9, dot and dash'),
  v.transform((value) => value as Name),
)

// Owns writing hostile JSON: values and bytes that no JSON.stringify would give, put into the text by marks.
import * as fc from 'fast-check'

/** A mark for text that stands in JSON as it is: a number too large for a number, a second key. */
export function raw(text: string): string {
  return `@@RAW:${text}@@`
}

/** A mark for bytes inside a string, in hexadecimal: those that are no UTF-8. */
export function octets(hex: string): string {
  return `@@BYTES:${hex}@@`
}

/** JSON of a value with its marks carried out. @param indent lines as `JSON.stringify` makes them */
export function hostileJson(value: unknown, indent?: number): Buffer {
  return marked(JSON.stringify(value, null, indent) ?? 'null')
}

/** Bytes of a text with its marks carried out. */
export function marked(text: string): Buffer {
  const plain = text.replaceAll(/"@@RAW:(.*?)@@"/g, (_, inner: string) => JSON.parse(`"${inner}"`) as string)
  const parts = plain.split(/@@BYTES:([0-9a-f]*)@@/)
  return Buffer.concat(parts.map((part, index) => Buffer.from(part, index % 2 === 0 ? 'utf8' : 'hex')))
}

/** What stands where a whole number should: too large, negative, no number, no JSON. */
export const NUMBERS: readonly unknown[] = [
  -1,
  0,
  1,
  2,
  1.5,
  511,
  512,
  4096,
  2 ** 24,
  2 ** 31,
  2 ** 32,
  2 ** 33,
  2 ** 42,
  Number.MAX_SAFE_INTEGER,
  2 ** 53,
  2 ** 53 + 2,
  2 ** 63,
  1e300,
  raw('1e999'),
  raw('-1e999'),
  raw('-0'),
  raw('1.0'),
  raw('1E2'),
  raw('0x10'),
  raw('01'),
  raw('NaN'),
  raw('9007199254740993'),
  raw('-9007199254740993'),
  '12',
  'NaN',
  'Infinity',
  '',
  null,
  true,
  false,
  [],
  [1],
  {},
  { valueOf: 1 },
]

/** Values that have no business in most places. */
export const VALUES: readonly unknown[] = [
  ...NUMBERS,
  '..',
  '../..',
  'a\u0000b',
  '\u202e',
  '\ud800',
  octets('ff'),
  octets('c080'),
  'x'.repeat(3_000),
  'sha256:',
  `sha256:${'0'.repeat(64)}`,
  `sha256:${'A'.repeat(64)}`,
  `sha512:${'0'.repeat(128)}`,
  `SHA256:${'0'.repeat(64)}`,
  'constructor',
  '__proto__',
  { __proto__: null, constructor: { prototype: { polluted: 1 } } },
  raw('{"__proto__":{"polluted":1}}'),
  raw('{"constructor":{"prototype":{"polluted":1}}}'),
  raw(`${'['.repeat(2_000)}${']'.repeat(2_000)}`),
]

/** Any text, lone surrogates among it. (Of its own: fast-check's unit of all code points takes a table of a million entries.) */
export function anyText(maxLength: number): fc.Arbitrary<string> {
  return fc.array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength }).map((points) => String.fromCodePoint(...points))
}

export const numberArb: fc.Arbitrary<unknown> = fc.oneof(fc.constantFrom(...NUMBERS), fc.integer(), fc.double())

export const valueArb: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...VALUES),
  anyText(40),
  fc.jsonValue({ maxDepth: 2 }),
)

/** A change of bytes without any knowledge of what they mean. Places are parts of the length, 0 to 1. */
export type ByteLie =
  | { readonly how: 'flip'; readonly at: number; readonly bit: number }
  | { readonly how: 'cut'; readonly at: number }
  | { readonly how: 'insert'; readonly at: number; readonly hex: string }
  | { readonly how: 'drop'; readonly at: number; readonly bytes: number }
  | { readonly how: 'repeat'; readonly at: number; readonly bytes: number }
  | { readonly how: 'append'; readonly hex: string }
  | { readonly how: 'zero'; readonly at: number; readonly bytes: number }
  | { readonly how: 'empty' }

const part = fc.double({ min: 0, max: 1, noNaN: true })
const hex = fc.oneof(
  fc.constantFrom('00', 'ff', 'efbbbf', '0a', '20', '7b', '5b', '22', '2c', '504b0304', '28b52ffd', '1f8b08'),
  fc.uint8Array({ minLength: 1, maxLength: 24 }).map((bytes) => Buffer.from(bytes).toString('hex')),
)
const few = fc.integer({ min: 1, max: 64 })

export const byteLieArb: fc.Arbitrary<ByteLie> = fc.oneof(
  fc.record({ how: fc.constant('flip' as const), at: part, bit: fc.integer({ min: 0, max: 7 }) }),
  fc.record({ how: fc.constant('cut' as const), at: part }),
  fc.record({ how: fc.constant('insert' as const), at: part, hex }),
  fc.record({ how: fc.constant('drop' as const), at: part, bytes: few }),
  fc.record({ how: fc.constant('repeat' as const), at: part, bytes: few }),
  fc.record({ how: fc.constant('append' as const), hex }),
  fc.record({ how: fc.constant('zero' as const), at: part, bytes: few }),
  fc.constant({ how: 'empty' as const }),
)

/** Carries out a change of bytes; the given ones stay as they are. */
export function lieAboutBytes(bytes: Uint8Array, lie: ByteLie): Buffer {
  const copy = Buffer.from(bytes)
  if (lie.how === 'empty') return Buffer.alloc(0)
  if (lie.how === 'append') return Buffer.concat([copy, Buffer.from(lie.hex, 'hex')])
  const at = Math.min(Math.max(0, copy.byteLength - 1), Math.floor(lie.at * copy.byteLength))
  switch (lie.how) {
    case 'flip':
      if (copy.byteLength > 0) copy[at] = (copy[at] ?? 0) ^ (1 << lie.bit)
      return copy
    case 'cut':
      return copy.subarray(0, at)
    case 'insert':
      return Buffer.concat([copy.subarray(0, at), Buffer.from(lie.hex, 'hex'), copy.subarray(at)])
    case 'drop':
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + lie.bytes)])
    case 'repeat':
      return Buffer.concat([copy.subarray(0, at + lie.bytes), copy.subarray(at)])
    case 'zero':
      copy.fill(0, at, Math.min(copy.byteLength, at + lie.bytes))
      return copy
  }
}

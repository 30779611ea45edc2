// Owns changes of a manifest's text, line by line: what a clumsy program or a hostile hand would write.
import { fc } from '#test/support/properties.ts'
import { sha256 } from './manifests.ts'

/** A change of the text of one line, or of which lines there are. */
export type Change = (lines: Buffer[], at: number, other: number) => void

const onLine =
  (change: (line: string) => string): Change =>
  (lines, at) => {
    lines[at] = Buffer.from(change((lines[at] ?? Buffer.alloc(0)).toString()))
  }

const NUMBERS = ['01', '1e3', '1E0', '-0', '-1', '0.0', '00', '1.5', '+1', '', ' 1', '1 ', 'null', 'true', '"1"', '[1]']
const HUGE = [
  '999999999999999',
  '9999999999999999',
  '9007199254740993',
  '99999999999999999999',
  '4294967296',
  '8589934592',
]
const ORDINARY = ['0', '1', '7', '420', '493', '511', '512', '1023', '2048', '65535', '65536', '131072', '1700000000']
const PATHS = [
  '',
  '/',
  'a/',
  '/a',
  'a//b',
  '.',
  '..',
  'a/..',
  './a',
  'C:',
  'c:x',
  'none/x',
  'A',
  'E\u0301',
  '\u00e9',
  '\u212a',
]
const ODD = [
  'K',
  '\\u0061',
  '\\n',
  '\\/',
  '\\"',
  '\u007f',
  '\u0085',
  '\u202e',
  '\ufffd',
  'x'.repeat(256),
  'a/'.repeat(130),
  'ı',
  'ſ',
]
const TARGETS = [
  '',
  '/etc',
  '..',
  '../x',
  'a/../..',
  '\\u002e.',
  '\u2028',
  'x\ty',
  'a',
  'ünï',
  '\ufeff',
  'bin',
  'lib/..',
]

/** Replaces one field of an entry's or a frame's tuple by its text. */
const field = (at: number, text: string): Change =>
  onLine((line) => {
    let field = -1
    return line.replace(/"(?:[^"\\]|\\.)*"|[^[\],]+/g, (old) => {
      field += 1
      return field === at ? text : old
    })
  })

const swapLines: Change = (lines, at, other) => {
  const [a, b] = [lines[at], lines[other]]
  if (a === undefined || b === undefined) return
  lines[at] = b
  lines[other] = a
}

const inserted = fc.constantFrom(
  '',
  ' ',
  ',',
  '\n',
  '\r',
  '\t',
  '[',
  ']',
  '}',
  '{',
  '"',
  '\\',
  '\0',
  '],"entries":[',
  ']}',
  ',null',
)
const anyByte = fc.oneof(
  fc.integer({ min: 0, max: 255 }),
  fc.constantFrom(0x22, 0x2c, 0x5b, 0x5d, 0x0a, 0x2e, 0x2f, 0xc3, 0xed),
)
const PREAMBLES = [
  (line: string) => line.replace('{"v":1', '{"frames":[],"v":1'),
  (line: string) => line.replace('{"v":1', '{"entries":[],"v":1'),
  (line: string) => line.replace('{"v":1', '{"v":2,"v":1'),
  (line: string) => line.replace('{"v":1', '{"v":1,"v":2'),
  (line: string) => line.replace('{"v":1', '{"v":1.0'),
  (line: string) => line.replace('{"v":1', ' { "v" : 1'),
  (line: string) => line.replace('{"v":1', '{"__proto__":{"foldAllowed":true},"v":1'),
  (line: string) => line.replace('{"v":1', '{"foldAllowed":true,"v":1'),
  (line: string) => line.replace('{"v":1', '{"foldAllowed":"true","v":1'),
  (line: string) => line.replace('{"v":1', '\ufeff{"v":1'),
  (line: string) => line.replace('{"v":1', '{"x":{"v":1'),
  (line: string) => line.replace('{"v":1', '[{"v":1'),
  (line: string) => line.replace('"frames":[', '"x":{"frames":['),
  (line: string) => line.replace('"frames":[', '"frames":[[0,1,1]],"other":['),
  (line: string) => line.replace('"frames":[', '"frames" :['),
  (line: string) => line.replace('"frames":[', '"fr\\u0061mes":['),
  (line: string) => line.replace('"frames":[', '"x":"\\",\\"frames\\":["'),
  (line: string) => line.replace('"frames":[', '"x":[{}],"frames":['),
  (line: string) => line.replace('"frames":[', '"frames":[],"frames":['),
  (line: string) => line.replace('"frames":[', '"entries":[\n'),
  (line: string) => line.replace('"frames":[', '"entries":[],"frames":['),
  (line: string) => line.replace(/"entries":\d+/, '"entries":3'),
  (line: string) => line.replace(/"entries":\d+/, '"entries":1e9'),
  (line: string) => line.replace(/"bytes":\d+,"depth"/, '"bytes":10,"depth"'),
  (line: string) => line.replace(/"depth":\d+/, '"depth":1'),
  (line: string) => line.replace(/"nameBytes":\d+/, '"nameBytes":2'),
  (line: string) => line.replace(/"nameBytes":\d+/, '"nameBytes":2e9'),
  (line: string) => line.replace('"commit":null', '"commit":"\\ud800"'),
  (line: string) => line.replace('"createdAt"', '"createdat"'),
].map(onLine)

export const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(8), fc.constantFrom(...NUMBERS, ...HUGE, ...ORDINARY)).map(([at, text]) => field(at, text)),
  fc.constantFrom(...PATHS, ...ODD).map((path) => field(7, `"${path}"`)),
  fc.constantFrom(...TARGETS, ...ODD).map((target) => field(4, `"${target}"`)),
  fc.constantFrom('d', 'f', 'l', 'h', '', '\\u0066', 'ff').map((type) => field(0, `"${type}"`)),
  fc.constantFrom(sha256('x'), sha256('x').toUpperCase(), `sha256:${sha256('x')}`, sha256('x').slice(1)).map((sum) => {
    return field(4, `"${sum}"`)
  }),
  fc.constant(swapLines),
  fc.constant<Change>((lines, at) => void lines.splice(at, 1)),
  fc.constant<Change>((lines, at, other) => void lines.splice(other, 0, lines[at] ?? Buffer.alloc(0))),
  inserted.map(
    (text): Change =>
      (lines, at) =>
        void lines.splice(at, 0, Buffer.from(text)),
  ),
  fc
    .tuple(inserted, fc.nat(400))
    .map(([text, place]) => onLine((line) => line.slice(0, place) + text + line.slice(place))),
  inserted.map((text) => onLine((line) => line + text)),
  fc.constant(onLine((line) => line.replace(/,$/, ''))),
  fc.constant(onLine((line) => line.replace(/\],?$/, ',1$&'))),
  fc.constant(onLine((line) => line.replace(/,/, ', '))),
  fc.tuple(fc.nat(400), anyByte).map(
    ([place, byte]): Change =>
      (lines, at) => {
        const line = lines[at]
        if (line !== undefined && line.byteLength > 0) line[place % line.byteLength] = byte
      },
  ),
  fc.constantFrom(...PREAMBLES).map(
    (one): Change =>
      (lines, _, other) =>
        one(lines, 0, other),
  ),
  // The last lines, which a change at random would seldom meet.
  fc
    .constantFrom(
      '],\n]}\n',
      '],\n\n]}\n',
      ']\n\n]}\n',
      ']\n]}',
      ']\n]}\n\n',
      ']\n],"v":2}\n',
      ']\n]}\n]}\n',
      ']\r\n]}\n',
    )
    .map(
      (end): Change =>
        (lines) => {
          const text = Buffer.from(
            `${lines
              .splice(0)
              .join('\n')
              .replace(/\]\n\]\}\n$/, '')}${end}`,
          )
          lines.push(text)
        },
    ),
)

// Owns hostile paths and targets of links: out of the tree, beside others of their build, and not to be shown or typed.
import * as fc from 'fast-check'
import { anyText, octets } from './text.ts'

/** A path that is wrong by itself, or wrong beside the others of its build. Entries are named by any whole number, taken modulo. */
export type PathLie =
  | { readonly path: 'literal'; readonly text: string }
  | { readonly path: 'child' | 'upper' | 'composed' | 'same' | 'above' | 'slash' | 'sibling'; readonly of: number }

/** Stands for the absolute path of the directory that nothing may write to. */
export const CANARY = '%CANARY%'

const PATHS: readonly string[] = [
  ...['../x', 'a/../../x', '..', '.', './a', 'a/./b', 'a//b', 'a/', '/', '', ' ', '-rf', '~', '*', 'CON', 'nul.txt'],
  ...[`${CANARY}/x`, `..${CANARY}/x`, '../canary/x', '../../canary/x', '../../../canary/x', '/proc/self/fd/0'],
  ...['../a.seal', '../b.seal', '../../hot', '../../.hotcold/ratchet.json', '../a/x', '.hotcold/x', 'hot', 'trees/a/x'],
  ...['C:x', 'C:\\x', 'a\\b', '\\\\host\\x', '..\\x', 'a\u0000b', '\u0000', 'a\nb', 'a\rb', '\u001b[31mred', '\u007f'],
  ...[
    '\u202eabc',
    'a\u200eb',
    '\u2066x',
    '\u2028',
    '\ufffd',
    '\ud800',
    '\udc00x',
    '\ufeff',
    '\u00a0',
    '\u3000',
    'ﬁ',
    'ß',
    'ẞ',
  ],
  ...[octets('ff'), octets('c0ae2e'), `${octets('c0ae')}${octets('c0ae')}/x`, `a${octets('eda080')}`],
  ...[
    'x'.repeat(255),
    'x'.repeat(256),
    'é'.repeat(128),
    'x/'.repeat(127),
    `${'x/'.repeat(127)}x`,
    `${'x/'.repeat(128)}x`,
  ],
  ...[
    `${'y'.repeat(200)}/`.repeat(16),
    `${'z'.repeat(255)}/`.repeat(12),
    'x'.repeat(5_000),
    '%2e%2e/x',
    '..%2fx',
    '....//x',
    '...',
  ],
]

const any = fc.nat({ max: 1_000 })
export const pathArb: fc.Arbitrary<PathLie> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ path: fc.constant('literal' as const), text: fc.constantFrom(...PATHS) }) },
  {
    weight: 1,
    arbitrary: fc.record({ path: fc.constant('literal' as const), text: anyText(20) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      path: fc.constantFrom('child', 'upper', 'composed', 'same', 'above', 'slash', 'sibling'),
      of: any,
    }),
  },
)

/** Targets of links that must not be made. */
export const LINKS: readonly string[] = [
  ...[
    '..',
    '../..',
    '../../canary',
    '../../../canary/secret',
    CANARY,
    `${CANARY}/secret`,
    '/',
    '/etc/passwd',
    '',
    '.',
    './.',
  ],
  ...[
    'a/../..',
    'a/../../b',
    '../trees/a',
    '../a',
    '../b/x',
    'x\u0000y',
    'x\\y',
    '\u202ex',
    octets('ff'),
    '\ud800',
    'self',
    'self/self',
  ],
  ...[
    'x'.repeat(3_072),
    'x'.repeat(4_096),
    '../'.repeat(40),
    'a/'.repeat(200),
    './'.repeat(1_400),
    '/proc/self/cwd',
    '//x',
    '...',
  ],
]

// Owns lies about a manifest: each knows its structure, is plain data that fast-check can print and shrink, and is told in the JSON.
import * as fc from 'fast-check'
import { LINKS, type PathLie, pathArb } from './path-lies.ts'
import { numberArb, raw, valueArb } from './text.ts'

/** A manifest as any program may write it. */
export type LooseManifest = { frames: unknown[]; entries: unknown[]; [key: string]: unknown }

export type ManifestLie =
  | { readonly on: 'entry'; readonly at: number; readonly field: number; readonly value: unknown }
  | { readonly on: 'path'; readonly at: number; readonly to: PathLie }
  | {
      readonly on: 'add'
      readonly type: string
      readonly to: PathLie
      readonly content: unknown
      readonly mode: unknown
    }
  | { readonly on: 'links'; readonly links: readonly (readonly [string, string])[] }
  | { readonly on: 'drop' | 'twice' | 'first' | 'last' | 'swap-content'; readonly at: number }
  | { readonly on: 'frame'; readonly at: number; readonly field: number; readonly value: unknown }
  | { readonly on: 'frame-drop' | 'frame-twice' | 'frame-swap'; readonly at: number }
  | {
      readonly on: 'place'
      readonly at: number
      readonly frame: number
      readonly offset: number
      readonly size: number
    }
  | { readonly on: 'head'; readonly key: string; readonly value: unknown }
  | { readonly on: 'limit'; readonly key: string; readonly value: unknown }
  | { readonly on: 'artifact'; readonly key: string; readonly value: unknown }
  | { readonly on: 'list'; readonly key: 'frames' | 'entries'; readonly value: unknown }
  | { readonly on: 'item'; readonly key: 'frames' | 'entries'; readonly at: number; readonly value: unknown }

const any = fc.nat({ max: 1_000 })
const MODES: readonly unknown[] = [
  0,
  0o4755,
  0o2755,
  0o1755,
  0o777,
  0o666,
  0o700,
  0o111,
  0o400,
  0o7777,
  0o100644,
  -1,
  420.5,
  2 ** 40,
  '493',
]
const TYPES = ['d', 'f', 'l', 'h', 'c', 'b', 'p', 's', '?', '', 'D', 'F', '1', '0', 'ff', 'x', 'g', 'L']
const HEAD = [
  'v',
  'app',
  'build',
  'commit',
  'createdAt',
  'treeDigest',
  'artifact',
  'limits',
  'foldAllowed',
  '__proto__',
  'constructor',
  'more',
]
const on = <const name extends string>(name: name) => fc.constant(name)
const modeArb = fc.oneof(fc.constantFrom(...MODES), numberArb)
const link = fc.tuple(
  fc.constantFrom('l1', 'l2', 'l3', 'd1/l4', 'd1/d2/l5'),
  fc.constantFrom(
    ...[
      '..',
      '.',
      '../..',
      'l1',
      'l2',
      'l3',
      'd1',
      'd1/..',
      'l1/..',
      'l2/..',
      'l1/../..',
      '../l3',
      '../l1/..',
      'd1/l4/..',
      'd2/l5/../../..',
      '../../l2/x',
      'l4',
      './l4/../l4',
      'd1/d2/../..',
    ],
  ),
)

/** One lie. Those with a place in the structure come far more often than those that only break a shape. */
export const manifestLieArb: fc.Arbitrary<ManifestLie> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ on: on('path'), at: any, to: pathArb }) },
  {
    weight: 3,
    arbitrary: fc.record({
      on: on('add'),
      type: fc.constantFrom(...TYPES),
      to: pathArb,
      content: fc.constantFrom('', '0'.repeat(64), 'x'),
      mode: modeArb,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      on: on('add'),
      type: on('l'),
      to: pathArb,
      content: fc.constantFrom(...LINKS),
      mode: fc.constantFrom<unknown>(0, 0, 0, 0o777),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      on: on('links'),
      links: fc.uniqueArray(link, { minLength: 1, maxLength: 5, selector: ([path]) => path }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ on: on('entry'), at: any, field: fc.constant(1), value: modeArb }) },
  {
    weight: 2,
    arbitrary: fc.record({
      on: on('entry'),
      at: any,
      field: fc.constant(0),
      value: fc.constantFrom<unknown>(...TYPES),
    }),
  },
  { weight: 4, arbitrary: fc.record({ on: on('entry'), at: any, field: fc.nat({ max: 8 }), value: numberArb }) },
  { weight: 2, arbitrary: fc.record({ on: on('entry'), at: any, field: fc.nat({ max: 8 }), value: valueArb }) },
  {
    weight: 3,
    arbitrary: fc.record({ on: fc.constantFrom('drop', 'twice', 'first', 'last', 'swap-content'), at: any }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      on: on('frame'),
      at: any,
      field: fc.nat({ max: 4 }),
      value: fc.oneof(numberArb, fc.integer({ min: 0, max: 20_000_000 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ on: fc.constantFrom('frame-drop', 'frame-twice', 'frame-swap'), at: any }) },
  {
    weight: 3,
    arbitrary: fc.record({
      on: on('place'),
      at: any,
      frame: fc.integer({ min: -2, max: 3 }),
      offset: fc.integer({ min: -600, max: 600 }),
      size: fc.integer({ min: -100, max: 100_000 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ on: on('head'), key: fc.constantFrom(...HEAD), value: valueArb }) },
  {
    weight: 2,
    arbitrary: fc.record({
      on: on('head'),
      key: on('v'),
      value: fc.constantFrom<unknown>(0, 2, 1.5, '1', 2 ** 53, raw('1e999')),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      on: on('head'),
      key: fc.constantFrom('app', 'build'),
      value: fc.constantFrom<unknown>('other', 'web', 'b1', '..', 'web/../x'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      on: on('limit'),
      key: fc.constantFrom('entries', 'bytes', 'depth', 'nameBytes', '__proto__'),
      value: numberArb,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      on: on('artifact'),
      key: fc.constantFrom('digest', 'bytes'),
      value: fc.oneof(valueArb, fc.nat()),
    }),
  },
  { weight: 1, arbitrary: fc.record({ on: on('list'), key: fc.constantFrom('frames', 'entries'), value: valueArb }) },
  {
    weight: 1,
    arbitrary: fc.record({ on: on('item'), key: fc.constantFrom('frames', 'entries'), at: any, value: valueArb }),
  },
)

// Owns the proof that the shapes of published attacks on tar extractors come to nothing: the manifest's entries are written, whatever the tar says.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Arena, openArena } from '#test/support/hostile/arena.ts'
import { buildOfTar, END, pax, type TarHeader, type Told } from '#test/support/hostile/tar.ts'

const body = Buffer.from('what the build is about\n')
const page: TarHeader = { name: 'page', body }
const evil = Buffer.from('written by an attacker\n')
const TOLD: readonly Told[] = [{ path: 'page', header: 0 }]

interface Shape {
  readonly id: string
  readonly what: string
  readonly headers: readonly TarHeader[]
  readonly told?: readonly Told[]
  readonly end?: Buffer
  readonly more?: Buffer
}

const SHAPES: readonly Shape[] = [
  {
    id: 'E1',
    what: 'a name that climbs out',
    headers: [page, { name: '../canary/x', body: evil }, { name: 'a/../../hot/x', body: evil }],
  },
  {
    id: 'E2',
    what: 'absolute, drive, backslash, NUL and empty names',
    headers: [
      page,
      { name: '/etc/cron.d/x', body: evil },
      { name: 'C:\\x', body: evil },
      { name: '..\\x', body: evil },
      { name: 'a\0b', body: evil },
      { name: '', body: evil },
      { name: './/../x', body: evil },
    ],
  },
  {
    id: 'E3',
    what: 'a link that leads out, and a file written through it',
    headers: [page, { name: 'out', type: '2', link: '../../canary' }, { name: 'out/x', body: evil }],
  },
  {
    id: 'E4',
    what: 'a chain of hard and symbolic links that leaves the tree step by step (the shape of CVE-2026-26960)',
    headers: [
      page,
      { name: 'a', type: '2', link: '.' },
      { name: 'a/b', type: '2', link: 'a/..' },
      { name: 'c', type: '1', link: 'a/b/../canary/secret' },
      { name: 'c', body: evil },
    ],
  },
  {
    id: 'E5',
    what: 'devices, a FIFO, a sparse file and types that nobody knows',
    headers: [
      page,
      { name: 'sda', type: '3' },
      { name: 'null', type: '4' },
      { name: 'pipe', type: '6' },
      { name: 'sparse', type: 'S', body: evil },
      { name: 'odd', type: 'Z', body: evil },
      { name: 'dump', type: 'D' },
    ],
  },
  {
    id: 'E6',
    what: 'set-uid, set-gid, sticky and world-writable modes',
    headers: [
      { ...page, mode: '0006777\0' },
      { name: 'su', mode: '0104755\0', body: evil },
    ],
  },
  { id: 'E7', what: 'an owner in the archive', headers: [{ ...page, uid: '0002322\0' }] },
  {
    id: 'E8',
    what: 'one name twice, and a file that becomes a directory',
    headers: [page, { name: 'page', body: evil }, { name: 'page/', type: '5' }, { name: 'page/x', body: evil }],
  },
  {
    id: 'E9',
    what: 'names that differ by case and composition',
    headers: [page, { name: 'PAGE', body: evil }, { name: 'pagé', body: evil }, { name: 'page\u0301', body: evil }],
  },
  {
    id: 'E10',
    what: 'control characters, direction marks and bytes that are no UTF-8 in names',
    headers: [
      page,
      { name: 'a\nb', body: evil },
      { name: '\u202egpj.exe', body: evil },
      { name: Buffer.from([0xff, 0xfe, 0x41]), body: evil },
    ],
  },
  {
    id: 'E12',
    what: 'PAX headers that rename, resize and follow themselves',
    headers: [
      page,
      {
        name: 'x',
        type: 'x',
        body: Buffer.concat([pax('path', '../canary/x'), pax('size', '99999999999'), pax('linkpath', '/etc')]),
      },
      { name: 'small', body: evil },
      { name: 'g', type: 'g', body: pax('path', '../../x') },
      { name: 'L', type: 'L', body: Buffer.from('../../canary/long\0') },
      { name: 'short', body: evil },
      { name: 'K', type: 'K', body: Buffer.from('/etc\0') },
    ],
  },
  {
    id: 'E12',
    what: 'sizes that are negative, too large, in base 256, or no number',
    headers: [
      page,
      { name: 'n', size: '-0000000001\0', body: evil },
      { name: 'b', size: '\u0080\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff', body: evil },
      { name: 'z', size: '77777777777\0', body: evil },
      { name: 'q', size: 'not a size \0', body: evil },
    ],
  },
  {
    id: 'E12',
    what: 'a header whose sum is wrong',
    headers: [
      { ...page, badSum: true },
      { name: 'x', badSum: true, body: evil },
    ],
  },
  { id: 'E13', what: 'no end marker', headers: [page, { name: 'x', body: evil }], end: Buffer.alloc(0) },
  {
    id: 'E14',
    what: 'entries after the end marker, and bytes after the last frame',
    headers: [page],
    end: Buffer.concat([END, evil, END]),
    more: Buffer.from('a second member, or anything'),
  },
]

async function stages(arena: Arena, shape: Shape): Promise<void> {
  const laid = buildOfTar('tarred', shape.headers, shape.told ?? TOLD, shape.end, shape.more)
  // The arena compares the tree with the manifest, and everything around it with what it was.
  assert.equal(await arena.stageLaid('tarred', laid), 'accepted and equal')
}

test('E1 to E14: of hostile tars the manifest alone is written, path for path', async (t: TestContext) => {
  const arena = await openArena(t)
  for (const shape of SHAPES) await t.test(`${shape.id}: ${shape.what}`, () => stages(arena, shape))
})

test('E1 to E12: a manifest that names what the tar does is refused, whatever it is', async (t: TestContext) => {
  const arena = await openArena(t)
  const refused = async (id: string, told: readonly Told[], code = 'MANIFEST_INVALID') => {
    await t.test(`${id}: ${told.map(({ path }) => JSON.stringify(path)).join(', ')}`, async () => {
      const laid = buildOfTar('told', [page, { name: 'x', body: evil }], told)
      assert.equal(await arena.stageLaid('told', laid), code)
    })
  }
  for (const path of ['../canary/x', '/etc/x', 'C:x', 'a\\b', 'a\0b', '', './x', 'a//b'])
    await refused('E1, E2', [{ path, header: 1 }])
  await refused('E3', [{ path: 'out', link: '../../canary' }])
  await refused('E3', [{ path: 'out', link: '/etc' }])
  await refused('E3', [
    { path: 'out', link: '.' },
    { path: 'out/x', header: 1 },
  ])
  await refused('E4', [
    { path: 'a', link: '.' },
    { path: 'b', link: 'a/a/../..' },
  ])
  await refused('E4', [
    { path: 'd', directory: true },
    { path: 'd/up', link: '..' },
    { path: 'e', link: 'd/up/..' },
  ])
  await refused('E6', [{ path: 'su', header: 1, mode: 0o4755 }])
  await refused('E8', [
    { path: 'x', header: 1 },
    { path: 'x', header: 0 },
  ])
  await refused('E8', [
    { path: 'x', header: 1 },
    { path: 'x/y', header: 0 },
  ])
  await refused('E9', [
    { path: 'X', header: 1 },
    { path: 'x', header: 0 },
  ])
  await refused('E10', [{ path: 'a\nb', header: 1 }])
  await refused('E11', [{ path: `${'d/'.repeat(200)}x`, header: 1 }])
  await refused('E17', [])
})

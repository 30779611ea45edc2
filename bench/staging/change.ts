// Owns the bench of the usual case: one per cent of a build changed, brought into a tree that is there, against everyone else's way.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Findings, medianOf, type Promised, ratio } from '#bench/kit/result.ts'
import { type Contestant, compare, type Measured, measured as measuredOf } from '#bench/kit/rounds.ts'
import { settle } from '#bench/kit/run.ts'
import { theirWays } from './change-others.ts'
import { ourWays } from './change-ours.ts'
import type { StagingBench } from './full.ts'
import type { World } from './world.ts'

export async function benchChange(bench: StagingBench): Promise<Findings> {
  const { world, rounds, say, scope } = bench
  const dir = scope.directory('change')
  for (const name of ['ours', 'theirs']) mkdirSync(join(dir, name))
  const contestants: readonly Contestant[] = [
    ...(await ourWays(bench, join(dir, 'ours'))),
    ...(await theirWays(bench, join(dir, 'theirs'))),
  ]
  const measured = await compare(contestants, rounds, () => settle(world.dir), say)
  const all = [...measured, theChange(world)]
  const { size } = world
  return {
    title: `1 % changed, ${size.files.toLocaleString('en')} files, ${Math.round(size.bytes / 1e6)} MB`,
    notes: [
      'Warm page cache, one server. Each round stages a build of its own, made from N by a seeded uniform choice.',
      'Unless the name says otherwise the node runs N, its cold tree holds N-1 (two builds old) and is armed, N+1 is staged. The store has the delta that `conduct publish` writes by default: from what the rings run when it is published, which is N.',
      '`ms` of ours includes verifying, syncfs and the seal. `durableMs` of the others adds a final `sync -f`. `fetched MB` is counted at the server’s sockets, for rsync by its own statistics.',
    ],
    parameters: { ...size, changes: world.next.map(({ change: { tree: _, ...facts } }) => facts) },
    measured: all,
    ratios: ratiosOf(all),
    promises: size.name === '20k' ? [] : promisesOf(all, size.files),
  }
}

/** What any way has to bring, at least. */
function theChange({ next }: World): Measured {
  const samples = next.map(({ change }) => ({
    changedBytes: change.changedBytes,
    fetchedBytes: change.compressedBytes,
  }))
  return measuredOf(
    'the change itself',
    'the bytes that changed, as they are and in one zstd frame of level 3',
    samples,
  )
}

/** rsync's ways into the cold tree, and those that make a new tree beside it. */
const INTO_COLD = ['rsync-cold', 'rsync-cold-W', 'rsync-cold-inplace']
const RSYNC = [...INTO_COLD, 'rsync-link-dest', 'rsync-link-dest-W']

function fastest(measured: readonly Measured[], names: readonly string[], key: string): string | null {
  const there = names.filter((name) => measured.some((one) => one.name === name))
  return there.toSorted((a, b) => medianOf(measured, a, key) - medianOf(measured, b, key))[0] ?? null
}

function ratiosOf(measured: readonly Measured[]) {
  const cold = fastest(measured, INTO_COLD, 'ms')
  const least = fastest(measured, RSYNC, 'fetchedBytes')
  const ours = ['ours-delta', 'ours-ranges', 'ours-after-rollback', 'puller-run']
  const others = ['curl-tar', 'cp-al', 'casync', 'desync'].filter((name) => measured.some((one) => one.name === name))
  return [
    ...(cold === null || least === null
      ? []
      : ours.flatMap((name) => [
          ratio(measured, [name], ['rsync-link-dest']),
          ratio(measured, [name], ['rsync-link-dest', 'durableMs']),
          ratio(measured, [name], [cold]),
          ratio(measured, [name, 'fetchedBytes'], [least, 'fetchedBytes']),
        ])),
    ...others.map((name) => ratio(measured, ['ours-delta'], [name])),
    ...ours.map((name) => ratio(measured, [name, 'fetchedBytes'], ['the change itself', 'fetchedBytes'])),
  ]
}

function promisesOf(measured: readonly Measured[], files: number): readonly Promised[] {
  const cold = fastest(measured, INTO_COLD, 'ms')
  const least = fastest(measured, RSYNC, 'fetchedBytes')
  if (cold === null || least === null) return []
  const quotient = (order: number, text: string, value: number, most: number): Promised => ({
    order,
    text,
    unit: '×',
    measured: value,
    most,
  })
  const of = (...args: Parameters<typeof ratio>) => ratio(...args).value
  const change = ['the change itself', 'fetchedBytes'] as const
  return [
    quotient(
      10,
      `1 % of ${files.toLocaleString('en')} files changed, by delta: staged, verified and durable ÷ \`rsync -a --link-dest\` without any sync`,
      of(measured, ['ours-delta'], ['rsync-link-dest']),
      0.1,
    ),
    quotient(
      20,
      `the same ÷ the fastest rsync into the cold tree without any sync (${cold})`,
      of(measured, ['ours-delta'], [cold]),
      0.25,
    ),
    quotient(
      30,
      'bytes fetched by delta ÷ compressed changed content',
      of(measured, ['ours-delta', 'fetchedBytes'], change),
      1.3,
    ),
    quotient(
      40,
      `bytes fetched by delta ÷ the fewest that any rsync fetched (${least})`,
      of(measured, ['ours-delta', 'fetchedBytes'], [least, 'fetchedBytes']),
      1,
    ),
    quotient(
      50,
      'by ranges alone ÷ `rsync -a --link-dest` without any sync',
      of(measured, ['ours-ranges'], ['rsync-link-dest']),
      0.5,
    ),
  ]
}

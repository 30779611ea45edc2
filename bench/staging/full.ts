// Owns the bench of a first full staging: an empty root against unpacking the very same object from the same server.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Findings, medianOf, ratio } from '#bench/kit/result.ts'
import { type Contestant, compare, type Sample, type Say } from '#bench/kit/rounds.ts'
import { run, settle, shell } from '#bench/kit/run.ts'
import { putAway, type Scope } from '#bench/kit/scope.ts'
import { need, type Tools } from '#bench/kit/tools.ts'
import { firstStagedByPuller } from '#bench/puller/staged.ts'
import { makeChunks } from './chunks.ts'
import { startRsync } from './rsync.ts'
import { type Stager, startStager } from './stager.ts'
import type { World } from './world.ts'

export interface StagingBench {
  readonly scope: Scope
  readonly world: World
  readonly tools: Tools
  readonly rounds: number
  readonly say: Say
}

/** casync and desync take minutes at 60,000 files, and a first staging is not what they are for. */
const MOST_FILES_CHUNKED = 20_000

export async function benchFull(bench: StagingBench): Promise<Findings> {
  const { world, rounds, say } = bench
  const measured = await compare(await contestants(bench), rounds, () => settle(world.dir), say)
  const { size } = world
  const [ours, theirs] = [medianOf(measured, 'ours', 'ms'), medianOf(measured, 'curl-tar', 'durableMs')]
  const peaks = measured.find(({ name }) => name === 'puller-run')?.samples ?? []
  return {
    title: `First full staging, ${size.files.toLocaleString('en')} files, ${Math.round(size.bytes / 1e6)} MB`,
    notes: [
      'Into an empty directory, from a local web server, warm page cache. `ms` of ours includes verifying every file, syncfs and the seal; `durableMs` of the others adds a final `sync -f`.',
      ...(size.files > MOST_FILES_CHUNKED ? ['casync and desync are measured at 20,000 files only.'] : []),
    ],
    parameters: { ...size, packedBytes: world.now.packedBytes, zstdRatio: world.now.packedBytes / world.now.rawBytes },
    measured,
    ratios: [
      ratio(measured, ['ours'], ['curl-tar', 'durableMs']),
      ratio(measured, ['ours'], ['curl-tar']),
      ratio(measured, ['ours'], ['tar', 'durableMs']),
      ...(measured.some(({ name }) => name === 'rsync') ? [ratio(measured, ['ours'], ['rsync', 'durableMs'])] : []),
    ],
    promises: [
      {
        order: size.name === '20k' ? 60 : 61,
        text: `first full staging, ${size.files.toLocaleString('en')} files ÷ \`curl \\| tar --zstd -x\` plus \`sync -f\``,
        unit: '×',
        measured: ours / theirs,
        most: 1,
      },
      ...(size.name === '20k'
        ? []
        : [
            {
              order: 90,
              text: 'memory of `puller run` while it stages all of it, workers included, the most of all rounds',
              unit: 'MiB' as const,
              measured: Math.max(...peaks.map(({ peakMiB = Number.NaN }) => peakMiB)),
              most: 150,
            },
          ]),
    ],
  }
}

async function contestants(bench: StagingBench): Promise<readonly Contestant[]> {
  const { scope, world, tools, say } = bench
  const { size, now, server } = world
  const target = join(scope.directory('full'), 'new')
  const fresh = {
    prepare: () => void mkdirSync(target),
    restore: () => putAway(target),
  }
  /** A command that fills the target, then its `sync -f`; what it fetched is counted at the server. */
  const command = (name: string, what: string, argv: (client: string) => readonly string[]): Contestant => ({
    ...fresh,
    name,
    what,
    run: async (round) => {
      const client = `full-${name}-${round}`
      const { ms } = await run(argv(client))
      const durableMs = ms + (await run(['sync', '-f', target])).ms
      return { ms, durableMs, fetchedBytes: (await server.counts(client)).bytes }
    },
  })
  const [curl, tar] = [need(tools, 'curl'), need(tools, 'tar')]
  const list: Contestant[] = [
    oursFrom(world, target, fresh),
    await firstStagedByPuller(bench, target),
    command('curl-tar', '`curl -s URL | tar --zstd -x` of the very same object', (client) =>
      shell(`${curl} -sf ${world.artifactUrl(client, now)} | ${tar} --zstd -x -C ${target}`),
    ),
    command('tar', '`tar --zstd -xf FILE` of the same object, without a network', () => [
      tar,
      '--zstd',
      '-xf',
      world.artifactFile(now),
      '-C',
      target,
    ]),
  ]
  if (tools.rsync !== undefined) {
    const rsync = await startRsync(scope, tools.rsync, join(world.dir, 'sources'))
    list.push({
      ...fresh,
      name: 'rsync',
      what: '`rsync -a` from a local daemon',
      run: async () => {
        const pulled = await rsync.pull(now.build, target)
        return { ...pulled, durableMs: pulled.ms + (await run(['sync', '-f', target])).ms }
      },
    })
  }
  if (tools.casync === undefined || size.files > MOST_FILES_CHUNKED) return list
  const chunks = await makeChunks(world, tools.casync, [now], say)
  const { casync, desync } = tools
  list.push(
    command('casync', '`casync extract` from the server', (client) => [
      casync,
      'extract',
      `--store=${chunks.storeUrl(client)}`,
      chunks.indexUrl(client, now),
      join(target, 'tree'),
    ]),
  )
  if (desync === undefined) return list
  list.push(
    command('desync', '`desync untar -i` from the server', (client) => [
      desync,
      'untar',
      '-i',
      '-s',
      chunks.storeUrl(client),
      chunks.indexUrl(client, now),
      target,
    ]),
  )
  return list
}

/** Ours: the puller's own staging in a fresh process, from the order to a sealed tree. */
function oursFrom(world: World, root: string, fresh: { prepare: () => void; restore: () => void }): Contestant {
  let stager: Stager | null = null
  return {
    name: 'ours',
    what: 'the puller’s staging in a process that has just started: fetch, write, verify, syncfs, seal',
    async prepare(round) {
      fresh.prepare()
      stager = await startStager(root, world.viewUrl(`full-ours-${round}`, 'default'))
    },
    async run(round): Promise<Sample> {
      if (stager === null) throw new Error('no staging process')
      const result = await stager.stage(world.now)
      if (!result.armed || result.writtenFiles === 0) throw new Error(`not staged: ${JSON.stringify(result)}`)
      const fetchedBytes = (await world.server.counts(`full-ours-${round}`)).bytes
      return { ms: result.ms, fetchedBytes, peakMiB: (await stager.peakKiB()) / 1024 }
    },
    async restore() {
      await stager?.[Symbol.asyncDispose]()
      fresh.restore()
    },
  }
}

// Owns the others' ways in the bench of the small change: rsync in all its modes, hard links, a fresh unpacking, casync and desync.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant } from '#bench/kit/rounds.ts'
import { run, shell } from '#bench/kit/run.ts'
import { putAway } from '#bench/kit/scope.ts'
import { need } from '#bench/kit/tools.ts'
import { makeChunks } from './chunks.ts'
import type { StagingBench } from './full.ts'
import { startRsync } from './rsync.ts'
import type { Source, World } from './world.ts'

/** @param dir for their trees: `hot` holds N, `cold` N-1, and `new` is made and removed by each that makes one */
export async function theirWays(bench: StagingBench, dir: string): Promise<readonly Contestant[]> {
  const { world, say } = bench
  const [hot, cold, fresh] = [join(dir, 'hot'), join(dir, 'cold'), join(dir, 'new')]
  say('laying the trees of the others')
  await run(['cp', '-a', world.now.dir, hot])
  await run(['cp', '-a', world.before.dir, cold])
  return [
    ...(await rsyncWays(bench, { hot, cold, fresh })),
    {
      name: 'cp-al',
      what: '`cp -al` of N alone: what any new tree of hard links costs before a byte is brought',
      run: async () => ({ ms: (await run(['cp', '-al', hot, fresh])).ms }),
      restore: () => putAway(fresh),
    },
    unpacking(bench, fresh),
    ...(await chunkWays(bench, { hot, fresh })),
  ]
}

function nextOf(world: World, round: number): Source {
  const next = world.next[round]
  if (next === undefined) throw new RangeError(`there is no build for round ${round}`)
  return next
}

/** How long until all of it is on the disk, after `ms`. */
async function durable(ms: number, target: string): Promise<{ ms: number; durableMs: number }> {
  return { ms, durableMs: ms + (await run(['sync', '-f', target])).ms }
}

async function rsyncWays(
  { scope, world, tools }: StagingBench,
  { hot, cold, fresh }: { hot: string; cold: string; fresh: string },
): Promise<readonly Contestant[]> {
  if (tools.rsync === undefined) return []
  const rsync = await startRsync(scope, tools.rsync, join(world.dir, 'sources'))
  const way = (name: string, target: string, restore: () => unknown, ...options: readonly string[]): Contestant => ({
    name,
    what: `\`rsync -a ${options.join(' ').replace(hot, 'HOT')} rsync://… ${target === cold ? 'COLD' : 'NEW'}/\``,
    run: async (round) => {
      const { ms, ...bytes } = await rsync.pull(nextOf(world, round).build, target, ...options)
      return { ...(await durable(ms, target)), ...bytes }
    },
    restore: async () => void (await restore()),
  })
  const gone = () => putAway(fresh)
  const back = () => rsync.copy(world.before.dir, cold)
  return [
    way('rsync-link-dest', fresh, gone, `--link-dest=${hot}`),
    way('rsync-link-dest-W', fresh, gone, '-W', `--link-dest=${hot}`),
    way('rsync-cold', cold, back, '--delete'),
    way('rsync-cold-W', cold, back, '-W', '--delete'),
    way('rsync-cold-inplace', cold, back, '--inplace', '--delete'),
  ]
}

function unpacking({ world, tools }: StagingBench, fresh: string): Contestant {
  const [curl, tar] = [need(tools, 'curl'), need(tools, 'tar')]
  return {
    name: 'curl-tar',
    what: '`curl -s URL | tar --zstd -x` of the whole object into an empty directory',
    prepare: () => void mkdirSync(fresh),
    async run(round) {
      const client = `change-curl-tar-${round}`
      const url = world.artifactUrl(client, nextOf(world, round))
      const { ms } = await run(shell(`${curl} -sf ${url} | ${tar} --zstd -x -C ${fresh}`))
      const { bytes } = await world.server.counts(client)
      return { ...(await durable(ms, fresh)), fetchedBytes: bytes }
    },
    restore: () => putAway(fresh),
  }
}

async function chunkWays(
  { scope, world, tools, say }: StagingBench,
  { hot, fresh }: { hot: string; fresh: string },
): Promise<readonly Contestant[]> {
  const { casync, desync } = tools
  if (casync === undefined) return []
  const { now, next, server } = world
  const chunks = await makeChunks(world, casync, [now, ...next], say)
  const way = (name: string, what: string, argv: (client: string, next: Source) => readonly string[]): Contestant => ({
    name,
    what,
    prepare: () => void mkdirSync(fresh),
    async run(round) {
      const client = `change-${name}-${round}`
      const { ms } = await run(argv(client, nextOf(world, round)))
      return { ...(await durable(ms, fresh)), fetchedBytes: (await server.counts(client)).bytes }
    },
    restore: () => putAway(fresh),
  })
  const ways = [
    way('casync', '`casync extract --seed=HOT` into a new directory', (client, source) => [
      casync,
      'extract',
      `--store=${chunks.storeUrl(client)}`,
      `--seed=${hot}`,
      chunks.indexUrl(client, source),
      join(fresh, 'tree'),
    ]),
  ]
  if (desync === undefined) return ways
  // Filled with the chunks of N alone in each round: what was fetched for another round's build may not help.
  const [full, cache] = [join(scope.directory('desync'), 'cache'), join(scope.directory('desync'), 'cache')]
  mkdirSync(full)
  say('filling the cache of desync with N')
  await run([
    desync,
    'cache',
    '-s',
    join(world.dir, 'chunks/store.castr'),
    '-c',
    full,
    join(world.dir, `chunks/${now.build}.caidx`),
  ])
  const desyncWay = way('desync', '`desync untar -i` with a cache that holds the chunks of N', (client, source) => [
    desync,
    'untar',
    '-i',
    '-s',
    chunks.storeUrl(client),
    '-c',
    cache,
    chunks.indexUrl(client, source),
    fresh,
  ])
  return [
    ...ways,
    {
      ...desyncWay,
      async prepare(round) {
        await run(['cp', '-al', full, cache])
        await desyncWay.prepare?.(round)
      },
      restore: () => {
        putAway(fresh)
        putAway(cache)
      },
    },
  ]
}

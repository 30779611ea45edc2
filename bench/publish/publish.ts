// Owns the bench of publishing: `conduct publish` into a store against packing the same tree with tar and putting it there.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Findings, ratio } from '#bench/kit/result.ts'
import { type Contestant, compare } from '#bench/kit/rounds.ts'
import { run, settle, shell } from '#bench/kit/run.ts'
import { putAway } from '#bench/kit/scope.ts'
import { need } from '#bench/kit/tools.ts'
import { order, TARGET_KEY } from '#bench/puller/process.ts'
import type { StagingBench } from '#bench/staging/full.ts'
import type { BuildId } from '#fleet/build.ts'
import { objectsOf } from '#fleet/manifest.ts'
import { startConsul } from '#test/support/consul.ts'

const CONDUCT = join(import.meta.dirname, '../../conductor/conduct')

export async function benchPublish(bench: StagingBench): Promise<Findings> {
  const { scope, world, tools, rounds, say } = bench
  const { size, now } = world
  const next = world.next[0]
  if (next === undefined) throw new RangeError('there is no build to publish')
  const dir = scope.directory('publish')
  const store = join(dir, 'store')
  const theirs = join(dir, 'theirs')
  mkdirSync(theirs)
  const consul = await startConsul(scope)
  const config = join(dir, 'hotcold.yaml')
  writeFileSync(
    config,
    stringify({
      app: 'web',
      consul: { url: consul.url },
      store: { url: `file://${store}` },
      plan: [{ ring: 'production' }],
    }),
  )
  const publish = (source: string, build: string) =>
    run([CONDUCT, 'publish', source, '--build', build], { env: { HOTCOLD_CONFIG: config } })
  await run([CONDUCT, 'init'], { env: { HOTCOLD_CONFIG: config } })
  say('publishing the build that runs')
  await publish(now.dir, now.build)
  await consul.kv.put(TARGET_KEY, order(1, now, null))
  const [tar, zstd] = [need(tools, 'tar'), need(tools, 'zstd')]
  const packing = (name: string, what: string, line: string): Contestant => ({
    name,
    what,
    async run() {
      const { ms } = await run(shell(line))
      return { ms, durableMs: ms + (await run(['sync', '-f', theirs])).ms }
    },
    restore: () => {
      putAway(theirs)
      mkdirSync(theirs)
    },
  })
  const contestants: readonly Contestant[] = [
    {
      name: 'conduct-publish',
      what: '`conduct publish`, the whole command: scan, hash, pack, manifest, the delta from what runs, catalog',
      async run(round) {
        const build = `publish-${round}`
        const { ms } = await publish(next.dir, build)
        if (existsSync(join(store, objectsOf.delta(build as BuildId, now.build)))) return { ms }
        throw new Error('no delta from the build that runs was written')
      },
      // Packed anew each time: a build id is published once.
      restore: (round) => putAway(join(store, `publish-${round}`)),
    },
    packing(
      'tar-zstd',
      '`tar --zstd -c` into a file of the store',
      `${tar} --zstd -cf ${theirs}/a.tar.zst -C ${next.dir} .`,
    ),
    packing(
      'tar-zstd-threads',
      '`tar -c | zstd -T0`, as many threads as cores',
      `${tar} -c -C ${next.dir} . | ${zstd} -q -T0 -o ${theirs}/a.tar.zst`,
    ),
  ]
  const measured = await compare(contestants, rounds, () => settle(dir), say)
  return {
    title: `Publish, ${size.files.toLocaleString('en')} files, ${Math.round(size.bytes / 1e6)} MB`,
    notes: [
      'Into a directory on the same disk. Ours is a process from start to end with a real Consul, and reads the tree twice: what is packed is proven to be what was hashed. A delta from the build that runs is written too.',
    ],
    parameters: { ...size },
    measured,
    ratios: [
      ratio(measured, ['conduct-publish'], ['tar-zstd']),
      ratio(measured, ['conduct-publish'], ['tar-zstd', 'durableMs']),
      ratio(measured, ['conduct-publish'], ['tar-zstd-threads', 'durableMs']),
    ],
    promises: [],
  }
}

// Owns the bench of a whole deploy to several nodes: Capistrano's push over ssh against one key that every puller watches.
import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Findings, ratio } from '#bench/kit/result.ts'
import { type Contestant, compare } from '#bench/kit/rounds.ts'
import { settle } from '#bench/kit/run.ts'
import { openScope, type Scope } from '#bench/kit/scope.ts'
import { order, type PullerProcess, startPuller, TARGET_KEY } from '#bench/puller/process.ts'
import { sealedWith } from '#bench/puller/staged.ts'
import type { StagingBench } from '#bench/staging/full.ts'
import type { BuildRef } from '#bench/staging/stager.ts'
import type { World } from '#bench/staging/world.ts'
import { type ConsulServer, startConsul } from '#test/support/consul.ts'
import { capistrano } from './capistrano.ts'
import { type Hosts, startHosts } from './hosts.ts'

export async function benchPush(bench: StagingBench, nodes: number): Promise<Findings> {
  const { scope, world, tools, rounds, say } = bench
  await using own = openScope(scope.directory('push'))
  const { cap, sshd } = tools
  const contestants: Contestant[] = [...(await ourWays(own, world, nodes, say))]
  // Its hosts have mount namespaces of their own, which only root may make.
  const pushes = cap !== undefined && sshd !== undefined && process.getuid?.() === 0
  if (pushes) contestants.push(await pushing(bench, own, sshd, nodes))
  const measured = await compare(contestants, rounds, () => settle(world.dir), say)
  const { size } = world
  return {
    title: `A whole deploy to ${nodes} nodes, ${size.files.toLocaleString('en')} files, 1 % changed`,
    notes: [
      `All nodes on this one machine. Ours: ${nodes} real \`puller run\`, one Consul, deltas from a local web server; from the write of the key until \`hot\` of every node shows the new build. Capistrano: \`cap prod deploy\` from git to ${nodes} ssh servers that have deployed before, until it ends.`,
    ],
    parameters: { ...size, nodes },
    measured,
    ratios: pushes
      ? [ratio(measured, ['key-write'], ['capistrano']), ratio(measured, ['prestaged'], ['capistrano'])]
      : [],
    promises: [],
  }
}

function nextOf({ next }: World, round: number): BuildRef & { readonly dir: string } {
  const build = next[round]
  if (build === undefined) throw new RangeError(`there is no build for round ${round}`)
  return build
}

async function ourWays(
  scope: Scope,
  world: World,
  nodes: number,
  say: (text: string) => void,
): Promise<readonly Contestant[]> {
  say(`starting ${nodes} pullers`)
  const consul = await startConsul(scope)
  const { now, before } = world
  let generation = 0
  const fleet: { root: string; puller: PullerProcess }[] = []
  const tell = async (...[build, fallback, more]: [BuildRef, BuildRef | null, { cutoff?: number }?]) => {
    generation += 1
    await consul.kv.put(TARGET_KEY, order(generation, build, fallback, more))
  }
  const resting = async () => {
    for (const { puller } of fleet) await puller.atRest(generation)
  }
  await tell(before, null)
  for (let index = 1; index <= nodes; index += 1) {
    fleet.push(await startNode(scope, world, consul, index))
  }
  await resting()
  /** From any state to hot N and cold N-1, by orders, as a fleet would come there. */
  const back = async () => {
    await tell(now, before)
    await resting()
    await Promise.all(fleet.map(({ root }) => sealedWith(root, before.build)))
  }
  const shows = async (build: BuildRef) => {
    const roots = fleet.map(({ root }) => join(root, 'hot/BUILD'))
    while (!roots.every((path) => readFileSync(path, 'utf8').trim() === build.build)) await delay(1)
  }
  const way = (name: string, what: string, prestaged: boolean): Contestant => ({
    name,
    what,
    async prepare(round) {
      await back()
      if (!prestaged) return
      const next = nextOf(world, round)
      await tell(next, now, { cutoff: 0 })
      await Promise.all(fleet.map(({ root }) => sealedWith(root, next.build)))
      await Promise.all(fleet.map(({ puller }) => staged(puller)))
    },
    async run(round) {
      const next = nextOf(world, round)
      const began = performance.now()
      await tell(next, now)
      await shows(next)
      return { ms: performance.now() - began }
    },
    restore: resting,
  })
  return [
    way('key-write', 'ours, nothing staged before: each node fetches its delta, stages, verifies and swaps', false),
    way('prestaged', 'ours, staged before as a rollout does (cutoff 0): each node swaps', true),
  ]
}

async function startNode(scope: Scope, world: World, consul: ConsulServer, index: number) {
  const root = scope.directory(`node-${index}`)
  const node = `node-${index}`
  const storeUrl = world.viewUrl(`push-${index}`, 'default')
  const puller = await startPuller({ dir: scope.directory('puller'), root, consul, storeUrl, node })
  scope.after(() => puller.stop())
  return { root, puller }
}

async function staged(puller: PullerProcess): Promise<void> {
  for (const limit = performance.now() + 60_000; (await puller.health())?.phase !== 'staged'; await delay(10)) {
    if (performance.now() > limit) throw new Error('a node did not become staged within a minute')
  }
}

async function pushing(
  { world, tools, say }: StagingBench,
  scope: Scope,
  sshd: string,
  nodes: number,
): Promise<Contestant> {
  say(`starting ${nodes} ssh servers, and deploying N to them with Capistrano`)
  const hosts = await startHosts(scope, sshd, nodes)
  const cap = capistrano(scope, tools, hosts)
  await cap.commit(world.now.dir, 'N')
  await cap.deploy()
  return {
    name: 'capistrano',
    what: '`cap prod deploy` of a commit with the same change',
    async prepare(round) {
      await cap.commit(world.now.dir, `N before round ${round}`)
      await cap.commit(nextOf(world, round).dir, `N+1 of round ${round}`)
    },
    async run(round) {
      const { ms } = await cap.deploy()
      for (const name of hosts.names) {
        const build = readFileSync(join(currentOf(hosts, name), 'BUILD'), 'utf8').trim()
        if (build !== nextOf(world, round).build) throw new Error(`${name} shows ${build}`)
      }
      return { ms }
    },
  }
}

/** The release that is current on a host, as seen from outside of its namespace. */
function currentOf({ place, inside }: Hosts, name: string): string {
  return readlinkSync(join(inside(name), 'current')).replace(place, inside(name))
}

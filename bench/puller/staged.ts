// Owns measuring a whole puller from an order in Consul to a sealed cold tree.
import { closeSync, mkdirSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant } from '#bench/kit/rounds.ts'
import { putAway } from '#bench/kit/scope.ts'
import type { StagingBench } from '#bench/staging/full.ts'
import { startConsul } from '#test/support/consul.ts'
import { order, type PullerProcess, stampOf, startPuller, TARGET_KEY } from './process.ts'

/**
 * From the write of the key to the seal: a real `puller run` on a real Consul, at rest on N, is told to have N+1 in cold (cutoff 0).
 * @param restore brings cold back to N-1
 */
export async function stagedByPuller(
  { scope, world }: StagingBench,
  root: string,
  restore: () => Promise<void>,
): Promise<Contestant> {
  const dir = scope.directory('puller')
  const consul = await startConsul(scope)
  const { before, now } = world
  let puller: PullerProcess | null = null
  let generation = 0
  return {
    name: 'puller-run',
    what: 'a whole `puller run`, by delta: from the write of the key in Consul to the seal of the tree; cold two builds old',
    async prepare(round) {
      generation += 1
      await consul.kv.put(TARGET_KEY, order(generation, now, before))
      puller = await startPuller({
        dir,
        root,
        consul,
        storeUrl: world.viewUrl(`change-puller-run-${round}`, 'default'),
      })
      await puller.atRest(generation)
    },
    async run(round) {
      const next = world.next[round]
      if (next === undefined) throw new RangeError(`there is no build for round ${round}`)
      generation += 1
      const record = order(generation, next, now, { cutoff: 0 })
      const began = performance.now()
      await consul.kv.put(TARGET_KEY, record)
      await sealedWith(root, next.build)
      const ms = performance.now() - began
      return { ms, fetchedBytes: (await world.server.counts(`change-puller-run-${round}`)).bytes }
    },
    async restore() {
      await puller?.stop()
      await restore()
    },
  }
}

/** The same from an empty root and an order that no build is in yet: the first full staging. `root` is made and removed by it. */
export async function firstStagedByPuller({ scope, world }: StagingBench, root: string): Promise<Contestant> {
  const dir = scope.directory('puller')
  const consul = await startConsul(scope)
  let puller: PullerProcess | null = null
  return {
    name: 'puller-run',
    what: 'a whole `puller run`: from the write of the key in Consul to the seal of the tree',
    async prepare(round) {
      mkdirSync(root)
      await consul.kv.put(TARGET_KEY, order(2 * round + 1, null, null, { cutoff: 0 }))
      puller = await startPuller({ dir, root, consul, storeUrl: world.viewUrl(`full-puller-run-${round}`, 'default') })
      await puller.atRest(0)
    },
    async run(round) {
      const began = performance.now()
      await consul.kv.put(TARGET_KEY, order(2 * round + 2, world.now, null, { cutoff: 0 }))
      await sealedWith(root, world.now.build)
      const ms = performance.now() - began
      const { bytes } = await world.server.counts(`full-puller-run-${round}`)
      return { ms, fetchedBytes: bytes, peakMiB: puller?.peakMiB() ?? Number.NaN }
    },
    async restore() {
      await puller?.stop()
      putAway(root)
    },
  }
}

/** Waits until the seal of a tree names the build; looks every millisecond or two, and reads only what was replaced. */
export async function sealedWith(root: string, build: string, limitMs = 120_000): Promise<void> {
  const seals = ['a', 'b'].map((tree) => join(root, 'trees', `${tree}.seal`))
  const seen = new Map<string, string>()
  const isSealed = (seal: string): boolean => {
    const stamp = stampOf(seal)
    if (stamp === '' || stamp === seen.get(seal)) return false
    seen.set(seal, stamp)
    return headOf(seal).includes(`"${build}"`)
  }
  for (const end = performance.now() + limitMs; !seals.some(isSealed); ) {
    if (performance.now() > end) throw new Error(`no tree was sealed with ${build} within ${limitMs / 1_000} s`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** The beginning of a file, where a seal names its build. */
function headOf(path: string): string {
  const fd = openSync(path, 'r')
  try {
    const head = Buffer.alloc(4_096)
    return head.toString('latin1', 0, readSync(fd, head))
  } finally {
    closeSync(fd)
  }
}

// Owns our own ways in the bench of the small change: staging alone by delta and by ranges, and a whole puller from order to staged.
import type { Contestant, Sample } from '#bench/kit/rounds.ts'
import { stagedByPuller } from '#bench/puller/staged.ts'
import type { StageResult } from '#puller/core/trees.ts'
import type { StagingBench } from './full.ts'
import { bringTo, type Stager, startStager } from './stager.ts'
import type { View } from './world.ts'

/**
 * All of them on one root, on which hot is N and cold N-1, armed, whenever none of them is at work: each stages N+1 into cold, and its
 * restoring stages N-1 back.
 */
export async function ourWays(bench: StagingBench, root: string): Promise<readonly Contestant[]> {
  const { world, say } = bench
  const { before, now, storeUrl } = world
  say('bringing a root of ours to hot N, cold N-1')
  await bringTo(root, storeUrl, [before, now, now])
  await swapAndArm(root, storeUrl)
  const back = () => bringTo(root, storeUrl, [before])
  return [
    staging(bench, root, {
      name: 'ours-delta',
      what: 'ours, by the delta from N that publish writes by default; cold two builds old',
      view: 'default',
      how: 'delta',
      restore: back,
    }),
    staging(bench, root, {
      name: 'ours-ranges',
      what: 'ours, by ranges of the artifact alone: the store has no delta; cold two builds old',
      view: 'none',
      how: 'ranges',
      restore: back,
    }),
    staging(bench, root, {
      name: 'ours-after-rollback',
      what: 'ours after a rollback: hot is N-1, cold holds N (one build old), the store has deltas from both',
      view: 'told',
      how: 'delta',
      prepare: () => swapAndArm(root, storeUrl),
      restore: async () => {
        await bringTo(root, storeUrl, [now])
        await swapAndArm(root, storeUrl)
      },
    }),
    await stagedByPuller(bench, root, back),
  ]
}

/** Swaps, then arms the tree that was hot. */
async function swapAndArm(root: string, storeUrl: string): Promise<void> {
  await using stager = await startStager(root, storeUrl)
  await stager.swap()
  const { armed } = await stager.sweep()
  if (!armed) throw new Error('the retired tree is not armed')
}

interface Way {
  readonly name: string
  readonly what: string
  readonly view: View
  /** Proves that it went by this way and no other. */
  readonly how: StageResult['how']
  readonly prepare?: () => Promise<void>
  readonly restore: () => Promise<void>
}

function staging({ world }: StagingBench, root: string, way: Way): Contestant {
  let stager: Stager | null = null
  const { name, what } = way
  return {
    name,
    what,
    async prepare(round) {
      await way.prepare?.()
      stager = await startStager(root, world.viewUrl(`change-${name}-${round}`, way.view))
      const { armed } = await stager.survey()
      if (!armed) throw new Error(`${name}: cold is not armed`)
    },
    async run(round): Promise<Sample> {
      const next = world.next[round]
      if (stager === null || next === undefined) throw new Error('not prepared')
      const result = await stager.stage(next)
      if (result.how !== way.how || !result.armed) throw new Error(`${name}: went otherwise: ${JSON.stringify(result)}`)
      const { bytes } = await world.server.counts(`change-${name}-${round}`)
      return { ms: result.ms, fetchedBytes: bytes, writtenFiles: result.writtenFiles }
    },
    async restore() {
      await stager?.[Symbol.asyncDispose]()
      await way.restore()
    },
  }
}

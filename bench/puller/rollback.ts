// Owns the bench of going back: the swap alone, and one real puller on a real Consul from the write of the key to the new bytes served.
import { spawn } from 'node:child_process'
import { readlinkSync, watch } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Findings, medianOf } from '#bench/kit/result.ts'
import { latencies, type Measured } from '#bench/kit/rounds.ts'
import { settle } from '#bench/kit/run.ts'
import type { StagingBench } from '#bench/staging/full.ts'
import { type BuildRef, bringTo, startStager } from '#bench/staging/stager.ts'
import { firstLine } from '#bench/store/server.ts'
import { end, mortal } from '#test/support/child.ts'
import { type ConsulServer, startConsul } from '#test/support/consul.ts'
import { order, type PullerProcess, startPuller, TARGET_KEY } from './process.ts'

/** @param times how often each is done */
export async function benchRollback(bench: StagingBench, times: number): Promise<Findings> {
  const { scope, world, say } = bench
  const { before, now, storeUrl, size } = world
  const root = scope.directory('root')
  say('bringing a root to hot N, cold N-1')
  await bringTo(root, storeUrl, [before, now])
  say(`swapping ${times} times`)
  const swaps = await swapOften(root, storeUrl, times)
  const app = spawn(...mortal(process.execPath, join(import.meta.dirname, 'app-main.ts'), root), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  scope.after(() => end(app, 'SIGKILL'))
  const node: Node = {
    dir: scope.directory('puller'),
    root,
    storeUrl,
    appUrl: `http://127.0.0.1:${await firstLine(app)}/`,
    consul: await startConsul(scope),
    generation: 0,
  }
  const armed = await goBackOften(bench, node, times, true)
  const unarmed = await goBackOften(bench, node, times, false)
  const measured = [latencies('swap', 'trees.swap alone: marks, link, fsync', swaps), ...armed, ...unarmed]
  return {
    title: `Swap and rollback, ${size.files.toLocaleString('en')} files`,
    notes: [
      'One real `puller run`, one real Consul agent, no drain, verify by HTTP with the build’s identity. From just before the request that writes the key until inotify tells of the renamed link, until a request to an application that reads through `hot` is answered from the new tree, and until the puller has verified it and is at rest.',
      'Armed: the tree that was retired was swept after the last swap. Unarmed (`coldQuietSeconds` never over): it is swept between the order and the swap.',
    ],
    parameters: { ...size, times },
    measured,
    ratios: [],
    promises: [
      {
        order: 70,
        text: 'rollback on one node with an armed tree, no drain: key write to `hot` renamed, p50',
        unit: 'ms',
        measured: medianOf(measured, 'armed-renamed', 'ms'),
        most: 50,
      },
    ],
  }
}

interface Node {
  readonly dir: string
  readonly root: string
  readonly storeUrl: string
  readonly appUrl: string
  readonly consul: ConsulServer
  generation: number
}

async function swapOften(root: string, storeUrl: string, times: number): Promise<readonly number[]> {
  await using stager = await startStager(root, storeUrl)
  // Whichever way: hot is N-1 or N in turn. An even number leaves it as it was.
  await stager.swap()
  const swaps: number[] = []
  while (swaps.length < times + (times % 2)) swaps.push(await stager.swap())
  return swaps.slice(0, times)
}

async function goBackOften(
  { world, say }: StagingBench,
  node: Node,
  times: number,
  armed: boolean,
): Promise<readonly Measured[]> {
  const word = armed ? 'armed' : 'unarmed'
  say(`rolling back ${times} times, ${word}`)
  const { dir, root, storeUrl, consul, appUrl } = node
  let pair: [BuildRef, BuildRef] = [world.now, world.before]
  const tell = async () => {
    node.generation += 1
    await consul.kv.put(TARGET_KEY, order(node.generation, ...pair))
  }
  await tell()
  const puller = await startPuller({
    dir,
    root,
    storeUrl,
    consul,
    config: {
      coldQuietSeconds: armed ? 0 : 86_400,
      verify: { http: appUrl, healthySeconds: 0, intervalMs: 20 },
    },
  })
  const renamed: number[] = []
  const served: number[] = []
  const verified: number[] = []
  try {
    await puller.atRest(node.generation)
    // What the last puller armed is armed still: without arming the first time does not count.
    for (let turn = armed ? 1 : 0; turn <= times; turn += 1) {
      await arming(puller, armed)
      await settle(root)
      pair = [pair[1], pair[0]]
      const moved = hotMoves(root)
      const began = performance.now()
      await tell()
      const renamedMs = (await moved) - began
      const servedMs = (await answersFrom(appUrl, pair[0].build)) - began
      await puller.atRest(node.generation)
      const verifiedMs = performance.now() - began
      if (turn === 0) continue
      renamed.push(renamedMs)
      served.push(servedMs)
      verified.push(verifiedMs)
    }
  } finally {
    await puller.stop()
  }
  return [
    latencies(`${word}-renamed`, `key write to \`hot\` renamed, ${word}`, renamed),
    latencies(`${word}-served`, `key write to new bytes served, ${word}`, served),
    latencies(`${word}-verified`, `key write to verified and at rest, ${word}`, verified),
  ]
}

/** Waits until cold is armed; or, where it never will be, until the puller is quiet. */
async function arming(puller: PullerProcess, armed: boolean): Promise<void> {
  if (!armed) return void (await delay(100))
  for (const limit = performance.now() + 60_000; (await puller.metric('puller_armed')) !== 1; await delay(20)) {
    if (performance.now() > limit) throw new Error('cold was not armed within a minute')
  }
}

/** When `hot` leads elsewhere than now. */
function hotMoves(root: string): Promise<number> {
  const hot = join(root, 'hot')
  const before = readlinkSync(hot)
  return new Promise((resolve, reject) => {
    const watcher = watch(root, () => {
      const at = performance.now()
      if (readlinkSync(hot) === before) return
      finish()
      resolve(at)
    })
    const limit = setTimeout(() => {
      finish()
      reject(new Error('hot was not renamed within a minute'))
    }, 60_000)
    const finish = (): void => {
      clearTimeout(limit)
      watcher.close()
    }
  })
}

/** When the application first answers from this build. */
async function answersFrom(url: string, build: string): Promise<number> {
  for (const limit = performance.now() + 60_000; performance.now() < limit; ) {
    if ((await (await fetch(url)).text()) === build) return performance.now()
  }
  throw new Error(`${build} was not served within a minute`)
}

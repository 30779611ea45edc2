// Owns the bench of waking up: from the write of the key to every watcher's loop, and to a real puller that has taken the order.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { type Findings, medianOf } from '#bench/kit/result.ts'
import { latencies, type Measured, median, percentile, type Say } from '#bench/kit/rounds.ts'
import { openScope, type Scope } from '#bench/kit/scope.ts'
import type { StagingBench } from '#bench/staging/full.ts'
import { bringTo } from '#bench/staging/stager.ts'
import { end, mortal } from '#test/support/child.ts'
import { type ConsulServer, startConsul } from '#test/support/consul.ts'
import { order, startPuller, TARGET_KEY } from './process.ts'

/** Watchers → how often the key is written. */
export const CROWDS: Readonly<Record<number, number>> = { 1: 50, 100: 20, 1000: 10, 5000: 5 }
export const SMALL_CROWDS: Readonly<Record<number, number>> = { 1: 2, 20: 2 }

/** A watch lets bursts of twenty changes pass and then two a second: slower than that, nothing is held back. */
const GAP_MS = 600

export async function benchWake(bench: StagingBench, crowds: Readonly<Record<number, number>>): Promise<Findings> {
  const { dir, say } = { dir: bench.scope.directory('wake'), say: bench.say }
  const measured: Measured[] = []
  for (const [watchers, writes] of Object.entries(crowds)) {
    // Each on an agent of its own: a query whose client has gone holds its connection until its wait is over.
    await using scope = openScope(dir)
    measured.push(await wakeCrowd(scope, Number(watchers), writes, say))
  }
  measured.push(...(await wakePuller(bench, crowds[1] ?? 5)))
  const crowd = measured.find(({ name }) => name === 'watchers-1000')
  return {
    title: 'From the write of the key to awake',
    notes: [
      'One real Consul agent (a dev server). Watchers are the puller’s own watch loop, each with a client and a connection of its own, all in one process that shares the machine with Consul: what a fleet spreads over its machines is added up here. Over all wakes of all writes, from just before the request that writes the key.',
      '`puller-accepted` is a real `puller run`: until its log says that the order is accepted, which is after its ratchet was made durable.',
    ],
    parameters: { crowds, gapMs: GAP_MS },
    measured,
    ratios: [],
    promises: [
      {
        order: 80,
        text: 'key write to a real puller awake, the order accepted and durable, p50',
        unit: 'ms',
        measured: medianOf(measured, 'puller-accepted', 'ms'),
        most: 10,
      },
      ...(crowd === undefined
        ? []
        : [
            {
              order: 81,
              text: 'key write to awake, 1,000 watchers on one Consul agent, p99',
              unit: 'ms' as const,
              measured: crowd.medians.p99Ms ?? Number.NaN,
              most: 1_000,
            },
          ]),
    ],
  }
}

async function wakeCrowd(scope: Scope, watchers: number, writes: number, say: Say): Promise<Measured> {
  say(`${watchers.toLocaleString('en')} watchers, ${writes} writes`)
  const consul = await startConsul(scope, { maxConnections: Math.max(200, watchers + 100) })
  await consul.kv.put(TARGET_KEY, 'w-0')
  const main = join(import.meta.dirname, 'watchers-main.ts')
  const child = spawn(...mortal(process.execPath, main, consul.url, String(watchers)), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  scope.after(() => end(child, 'SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  /** When each of them saw this value, on the clock that all processes share. */
  const seen = async (value: string): Promise<readonly number[]> => {
    for (;;) {
      const line = await lines.next()
      if (line.done) throw new Error(`the watchers ended with ${child.exitCode ?? child.signalCode}`)
      const told = JSON.parse(line.value) as { value: string; atMs: readonly number[] }
      if (told.value === value) return told.atMs
    }
  }
  await seen('w-0')
  const wakes: (readonly number[])[] = []
  for (let write = 1; write <= writes; write += 1) {
    // Long enough that every watcher waits again.
    await delay(Math.max(GAP_MS, watchers / 2))
    const began = sharedNowMs()
    await consul.kv.put(TARGET_KEY, `w-${write}`)
    wakes.push((await seen(`w-${write}`)).map((at) => at - began))
  }
  const what = `${watchers.toLocaleString('en')} on one agent, ${writes} writes; samples are of one write each`
  // Tens of thousands of wakes: what is kept of each write is its summary, what is told is over all of them.
  const samples = wakes.map((of) => ({ ms: median(of), p99Ms: percentile(of, 0.99), mostMs: Math.max(...of) }))
  return { ...latencies(`watchers-${watchers}`, what, wakes.flat()), samples }
}

/** The kernel's monotonic clock, the same in all processes. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function wakePuller({ scope, world, say }: StagingBench, writes: number): Promise<readonly Measured[]> {
  say(`one real puller, ${writes} writes`)
  const [root, dir] = [scope.directory('root'), scope.directory('puller')]
  const { before, now, storeUrl } = world
  await bringTo(root, storeUrl, [before, now])
  await using own = openScope(dir)
  const consul: ConsulServer = await startConsul(own)
  await consul.kv.put(TARGET_KEY, order(1, before, now))
  const puller = await startPuller({ dir, root, consul, storeUrl })
  own.after(() => puller.stop())
  await puller.atRest(1)
  const wakes: number[] = []
  for (let write = 1; write <= writes; write += 1) {
    await delay(GAP_MS)
    // A new generation of the same order: it is accepted, and there is nothing else to do.
    const record = order(write + 1, before, now)
    const accepted = puller.logged('target accepted')
    const began = performance.now()
    await consul.kv.put(TARGET_KEY, record)
    wakes.push((await accepted) - began)
  }
  return [latencies('puller-accepted', `a real puller, ${writes} writes`, wakes)]
}

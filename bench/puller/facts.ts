// Owns the bench of what a puller costs: memory and CPU while nothing happens, and how soon after its start it is ready.
import { setTimeout as delay } from 'node:timers/promises'
import { type Findings, medianOf } from '#bench/kit/result.ts'
import { type Contestant, compare, type Measured, measured as measuredOf } from '#bench/kit/rounds.ts'
import { settle } from '#bench/kit/run.ts'
import type { StagingBench } from '#bench/staging/full.ts'
import { bringTo } from '#bench/staging/stager.ts'
import { startConsul } from '#test/support/consul.ts'
import { order, type PullerOptions, type PullerProcess, startPuller, TARGET_KEY } from './process.ts'
import { sealedWith } from './staged.ts'

/** Windows of an idle minute: the median says what is usual, the sum is what is promised. */
const WINDOWS = 5
/** After it a puller has come to rest, and given memory back. */
const SETTLE_MS = 45_000

export async function benchPuller(bench: StagingBench, idleSeconds: number): Promise<Findings> {
  const { scope, world, rounds, say } = bench
  const { before, now, size, storeUrl } = world
  const [root, dir] = [scope.directory('root'), scope.directory('puller')]
  say('bringing a root to hot N-1, cold N')
  await bringTo(root, storeUrl, [before, now])
  const consul = await startConsul(scope)
  await consul.kv.put(TARGET_KEY, order(1, before, now))
  const options = { dir, root, consul, storeUrl }
  say('starting it, with and without compiled code')
  const starts = await compare(
    [
      starting('start', '`puller run` from spawn to the first 200 of /healthz, code compiled before', options),
      starting('start-uncompiled', 'the same without a compile cache: the first start after an installation', options, {
        NODE_DISABLE_COMPILE_CACHE: '1',
      }),
    ],
    rounds,
    () => settle(root),
    say,
  )
  const idle = await idling(bench, options, idleSeconds)
  const all = [...starts, ...idle]
  const worst = (key: string) => Math.max(...idle.map(({ medians }) => medians[key] ?? Number.NaN))
  return {
    title: `What a puller costs, ${size.files.toLocaleString('en')} files`,
    notes: [
      `Real \`puller run\` processes on a real Consul. Idle over ${idleSeconds} s: \`idle-started\` has just found hot and cold as they were, \`idle-staged\` has just staged the whole build. CPU is of one core, resident memory includes all threads.`,
    ],
    parameters: { ...size, idleSeconds },
    measured: all,
    ratios: [],
    promises: [
      {
        order: 91,
        text: 'idle memory resident, the larger of just started and after staging all of it',
        unit: 'MiB',
        measured: worst('residentMiB'),
        most: 75,
      },
      {
        order: 92,
        text: `idle CPU over ${idleSeconds} s, the larger of both`,
        unit: '%',
        measured: worst('cpuPercent'),
        most: 0.2,
      },
      {
        order: 93,
        text: 'ready after start, p50 with compiled code',
        unit: 'ms',
        measured: medianOf(all, 'start', 'ms'),
        most: 400,
      },
    ],
  }
}

function starting(
  name: string,
  what: string,
  options: PullerOptions,
  env: Readonly<Record<string, string>> = {},
): Contestant {
  let puller: PullerProcess | null = null
  return {
    name,
    what,
    async prepare() {
      // What was read before is in the page cache, and code is compiled where it may be.
      const once = await startPuller({ ...options, env })
      await once.atRest(1)
      await once.stop()
    },
    async run() {
      puller = await startPuller({ ...options, env })
      return { ms: puller.readyMs }
    },
    async restore() {
      await puller?.atRest(1)
      await puller?.stop()
    },
  }
}

async function idling(
  { scope, world, say }: StagingBench,
  options: PullerOptions,
  seconds: number,
): Promise<readonly Measured[]> {
  const { now } = world
  const storeUrl = world.viewUrl('puller-idle', 'default')
  const fresh = { ...options, storeUrl, root: scope.directory('fresh'), dir: scope.directory('puller'), node: 'node-2' }
  const consul = await startConsul(scope)
  await consul.kv.put(TARGET_KEY, order(1, now, null))
  say('staging all of it in one puller, then watching two do nothing')
  await using ends = new AsyncDisposableStack()
  const staged = await startPuller({ ...fresh, consul })
  ends.defer(() => staged.stop())
  await sealedWith(fresh.root, now.build)
  await staged.atRest(1)
  const started = await startPuller(options)
  ends.defer(() => started.stop())
  await started.atRest(1)
  // The time after work is not idle: V8 gives its pages back over half a minute.
  await delay(Math.min(SETTLE_MS, seconds * 1_000))
  const watched = { 'idle-started': started, 'idle-staged': staged }
  const samples = new Map(
    Object.keys(watched).map((name) => [name, [] as { cpuPercent: number; residentMiB: number }[]]),
  )
  const windowMs = (seconds * 1_000) / WINDOWS
  const total = Object.entries(watched).map(([name, puller]) => [name, puller.cpuMs()] as const)
  for (let window = 0; window < WINDOWS; window += 1) {
    const before = new Map(Object.entries(watched).map(([name, puller]) => [name, puller.cpuMs()]))
    await delay(windowMs)
    for (const [name, puller] of Object.entries(watched)) {
      const usedMs = puller.cpuMs() - (before.get(name) ?? 0)
      samples.get(name)?.push({ cpuPercent: (100 * usedMs) / windowMs, residentMiB: puller.residentMiB() })
    }
  }
  return total.map(([name, beganMs]) => {
    const puller = name === 'idle-started' ? started : staged
    const { what, medians, samples: kept } = measuredOf(name, WHAT[name] ?? '', samples.get(name) ?? [])
    const cpuPercent = (puller.cpuMs() - beganMs) / (seconds * 10)
    const residentMiB = Math.max(...kept.map((sample) => sample.residentMiB ?? 0))
    return { name, what, samples: kept, medians: { ...medians, cpuPercent, residentMiB, peakMiB: puller.peakMiB() } }
  })
}

const WHAT: Readonly<Record<string, string>> = {
  'idle-started': 'a puller that was just started; the most of five looks, CPU over all of the time',
  'idle-staged': 'a puller that has just staged the whole build and swapped it in; the same',
}

// Owns one run of the load proof: swaps back and forth under a load that never stops, and everything that was counted meanwhile.
import type { TestContext } from 'node:test'
import { until } from '#test/support/until.ts'
import type { BalancerCounts } from './balancer.ts'
import { openScene, type Scene, type SwapCounts } from './scene.ts'
import type { LoadReport } from './tally.ts'

export interface Course {
  readonly swaps: number
  readonly perSecond: number
  readonly nodes: number
  /** False: the control. */
  readonly drained: boolean
}

/** One swap of one node, as seen from outside. */
export interface SwapSeen {
  readonly node: string
  /** From its order to the node's word that it is in service again; the staging of a rollout counts for its first node. */
  readonly ms: number
  /** Requests that were answered meanwhile. */
  readonly answered: number
}

export interface Findings {
  readonly course: Course
  readonly load: LoadReport
  /** From the first request to the last answer. */
  readonly ms: number
  readonly swaps: readonly SwapSeen[]
  /** What the pullers counted under this load. */
  readonly counted: SwapCounts
  /** Drains that found requests in work and waited for them. */
  readonly waited: number
  /** What HAProxy counted under this load. */
  readonly balancer: BalancerCounts
}

const BUILDS = ['build-a', 'build-b'] as const

/**
 * How long a page is in work: most are quick, one in ten is slow, one in thirty very slow, as applications are. 34 ms on the average.
 * Taken in turn; 101 of them, so that neighbours at two nodes differ.
 */
const WORK_MS: readonly number[] = Array.from({ length: 101 }, (_, at) =>
  at % 33 === 16 ? 500 : at % 10 === 0 ? 100 : 10,
)

/** Runs a course; everything it starts ends with the test. @param tell called after each swap */
export async function runCourse(
  t: TestContext,
  course: Course,
  tell: (done: number, load: LoadReport) => void = () => {},
): Promise<Findings> {
  const scene = await openScene(t, { nodes: course.nodes, builds: BUILDS, drained: course.drained })
  const before = { swaps: await scene.swaps(), balancer: await scene.balancer.counts() }
  const startedMs = performance.now()
  const load = scene.startLoad({ perSecond: course.perSecond, workMs: WORK_MS })
  // A node that no visitor has met before its first swap would not be seen to change.
  await until('every node has answered visitors', async () => {
    return Object.keys((await load.report()).nodes).length === course.nodes
  })
  const swaps: SwapSeen[] = []
  let last = { ms: performance.now(), answered: 0 }
  const onNode = async (node: string, build: string): Promise<void> => {
    const ms = performance.now() - last.ms
    // The next order waits until visitors have seen this one: each swap must show in the pages.
    const shown = async () => {
      const now = await load.report()
      return now.nodes[node]?.build === build ? now : null
    }
    const report = await until(`${node} serves ${build} to visitors`, shown)
    const answered = report.served + report.mixed
    swaps.push({ node, ms, answered: answered - last.answered })
    last = { ms: performance.now(), answered }
    tell(swaps.length, report)
  }
  for (let to: 0 | 1 = 1; swaps.length < course.swaps; to = to === 1 ? 0 : 1) {
    const build = BUILDS[to]
    const most = course.swaps - swaps.length
    await scene.orders.rollout(build, BUILDS[1 - to] ?? '', most, (node) => onNode(node, build))
  }
  const report = await load.finish()
  return {
    course,
    load: report,
    ms: performance.now() - startedMs,
    swaps,
    counted: less(await scene.swaps(), before.swaps),
    waited: await drainsThatWaited(scene),
    balancer: lessCounts(await scene.balancer.counts(), before.balancer),
  }
}

function less<names extends string>(now: Readonly<Record<names, number>>, then: Readonly<Record<names, number>>) {
  const entries = Object.entries<number>(now).map(([name, count]) => [name, count - then[name as names]])
  return Object.fromEntries(entries) as Record<names, number>
}

function lessCounts(now: BalancerCounts, then: BalancerCounts): BalancerCounts {
  const { answers, ...rest } = now
  const { answers: answersThen, ...restThen } = then
  return { answers: less(answers, answersThen), ...less(rest, restThen) }
}

/** By the pullers' own logs: each drain that finds the application busy says so once, and again only when what it says changes in kind. */
async function drainsThatWaited({ fleet }: Scene): Promise<number> {
  const logs = await Promise.all(fleet.nodes.map((node) => node.log()))
  let waited = 0
  for (const log of logs) {
    let busy = false
    for (const line of log.split('\n')) {
      if (line.includes('"waiting for the application to become idle"')) busy = true
      if (!line.includes('"msg":"drained"')) continue
      if (busy) waited += 1
      busy = false
    }
  }
  return waited
}

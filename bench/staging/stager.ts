// Owns a staging process: started and ready before the clock starts, told what to do, gone afterwards.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { BuildId, Digest } from '#fleet/build.ts'
import type { StageResult, Survey } from '#puller/core/trees.ts'
import { end, mortal } from '#test/support/child.ts'

/** A published build, as an order names it. */
export interface BuildRef {
  readonly build: BuildId
  readonly manifest: Digest
}

export type Command =
  | { readonly do: 'stage'; readonly build: BuildRef }
  | { readonly do: 'swap' | 'sweep' | 'survey' | 'memory' | 'close' }

export interface Stager extends AsyncDisposable {
  /** `ms` is from the order to the answer, as seen from here. */
  stage(build: BuildRef): Promise<StageResult & { readonly ms: number }>
  /** Milliseconds of the swap alone, as the process itself saw it. */
  swap(): Promise<number>
  sweep(): Promise<StageResult>
  survey(): Promise<Survey>
  /** The most memory that it ever had resident, threads included. */
  peakKiB(): Promise<number>
}

const COMPILED = join(import.meta.dirname, '../../.cache/compiled')

/** Starts the process and waits until its trees are open. */
export async function startStager(root: string, storeUrl: string): Promise<Stager> {
  const main = join(import.meta.dirname, 'stager-main.ts')
  const child = spawn(...mortal(process.execPath, main, root, storeUrl), {
    // Where the puller's launcher keeps its compiled code: threads start as quickly here as there.
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  async function answer<result>(): Promise<result> {
    const line = await lines.next()
    if (line.done) throw new Error(`the staging process ended with ${child.exitCode ?? child.signalCode}`)
    const said = JSON.parse(line.value) as { error?: string }
    if (said.error !== undefined) throw new Error(`staging on ${root}: ${said.error}`)
    return said as result
  }
  async function tell<result>(command: Command): Promise<result> {
    child.stdin.write(`${JSON.stringify(command)}\n`)
    return await answer()
  }
  await answer()
  return {
    async stage(build) {
      const began = performance.now()
      const result = await tell<StageResult>({ do: 'stage', build })
      return { ...result, ms: performance.now() - began }
    },
    swap: async () => (await tell<{ ms: number }>({ do: 'swap' })).ms,
    sweep: () => tell({ do: 'sweep' }),
    survey: () => tell({ do: 'survey' }),
    peakKiB: async () => (await tell<{ peakKiB: number }>({ do: 'memory' })).peakKiB,
    async [Symbol.asyncDispose]() {
      // Closed in good order, so that the next start trusts the trees as they lie.
      await tell({ do: 'close' }).catch(() => undefined)
      await end(child, 'SIGKILL')
    },
  }
}

/** Stages builds one after the other, each swapped in but the last, whose tree is left cold. Not timed. */
export async function bringTo(root: string, storeUrl: string, builds: readonly BuildRef[]): Promise<void> {
  await using stager = await startStager(root, storeUrl)
  for (const [index, build] of builds.entries()) {
    await stager.stage(build)
    if (index === builds.length - 1) return
    await stager.swap()
  }
}

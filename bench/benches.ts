// Owns the list of benches, by name and in the order in which all of them run.
import type { Findings } from './kit/result.ts'
import type { Say } from './kit/rounds.ts'
import { openScope, type Scope } from './kit/scope.ts'
import type { Tools } from './kit/tools.ts'
import { benchPublish } from './publish/publish.ts'
import { benchPuller } from './puller/facts.ts'
import { benchRollback } from './puller/rollback.ts'
import { benchWake, CROWDS, SMALL_CROWDS } from './puller/wake.ts'
import { benchPush } from './push/push.ts'
import { benchChange } from './staging/change.ts'
import { benchFull, type StagingBench } from './staging/full.ts'
import { makeWorld, type World } from './staging/world.ts'
import { SIZES, type Size } from './trees/make.ts'

export interface Settings {
  readonly quick: boolean
  readonly rounds: number
  readonly seed: number
  readonly tools: Tools
  /** Where scratch files go. */
  readonly dir: string
  readonly scope: Scope
  readonly say: Say
}

interface Made {
  readonly size: Size
  readonly rounds: number
  readonly world: World
  readonly scope: Scope
}

/** Trees of a size are made once in a run, for all benches that can do with as many rounds. */
const worlds = new WeakMap<Scope, Map<string, Made>>()

/** Two of these at once would need a disk of twice the size. */
const LARGE_FILES = 10_000

async function worldOf({ scope, dir, seed, say }: Settings, size: Size, rounds: number): Promise<World> {
  const made = worlds.get(scope) ?? new Map<string, Made>()
  worlds.set(scope, made)
  const there = made.get(size.name)
  if (there !== undefined && there.rounds >= rounds) return there.world
  for (const [name, other] of made) {
    if (name !== size.name && (size.files < LARGE_FILES || other.size.files < LARGE_FILES)) continue
    made.delete(name)
    await other.scope[Symbol.asyncDispose]()
  }
  const own = openScope(dir)
  scope.after(() => own[Symbol.asyncDispose]())
  const world = await makeWorld(own, size, rounds, seed, say)
  made.set(size.name, { size, rounds, world, scope: own })
  return world
}

/** @param builds of how many N+1 it makes use: one for each round unless told */
function on(
  name: keyof typeof SIZES,
  bench: (bench: StagingBench, quick: boolean) => Promise<Findings>,
  builds?: number,
) {
  return async (settings: Settings): Promise<Findings> => {
    const { quick, rounds, tools, dir, say } = settings
    const world = await worldOf(settings, quick ? SIZES.tiny : SIZES[name], builds ?? rounds)
    // What a bench makes for itself goes before the next one begins.
    await using own = openScope(dir)
    settings.scope.after(() => own[Symbol.asyncDispose]())
    return await bench({ scope: own, world, tools, rounds, say }, quick)
  }
}

export const BENCHES = {
  'full-20k': on('20k', benchFull),
  'change-20k': on('20k', benchChange),
  'full-60k': on('60k', benchFull),
  'change-60k': on('60k', benchChange),
  rollback: on('60k', (bench, quick) => benchRollback(bench, quick ? 3 : 30), 0),
  wake: on('small', (bench, quick) => benchWake(bench, quick ? SMALL_CROWDS : CROWDS), 0),
  puller: on('60k', (bench, quick) => benchPuller(bench, quick ? 1 : 60), 0),
  publish: on('60k', benchPublish, 1),
  push: on('small', (bench, quick) => benchPush(bench, quick ? 2 : 8)),
} as const satisfies Record<string, (settings: Settings) => Promise<Findings>>

export type BenchName = keyof typeof BENCHES

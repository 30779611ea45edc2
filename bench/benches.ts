// Owns the list of benches, by name and in the order in which all of them run.
import type { Findings } from './kit/result.ts'
import type { Say } from './kit/rounds.ts'
import type { Scope } from './kit/scope.ts'
import type { Tools } from './kit/tools.ts'
import { benchChange } from './staging/change.ts'
import { benchFull, type StagingBench } from './staging/full.ts'
import { makeWorld, type World } from './staging/world.ts'
import { SIZES } from './trees/make.ts'

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

/** Trees of a size are made once in a run, for all benches that want them. */
const worlds = new WeakMap<Scope, Map<string, Promise<World>>>()

function staging(name: '20k' | '60k', bench: (bench: StagingBench) => Promise<Findings>) {
  return async ({ quick, rounds, seed, tools, scope, say }: Settings): Promise<Findings> => {
    const size = quick ? SIZES.tiny : SIZES[name]
    const made = worlds.get(scope) ?? new Map<string, Promise<World>>()
    worlds.set(scope, made)
    const world = made.get(size.name) ?? makeWorld(scope, size, rounds, seed, say)
    made.set(size.name, world)
    return await bench({ scope, world: await world, tools, rounds, say })
  }
}

export const BENCHES = {
  'full-20k': staging('20k', benchFull),
  'change-20k': staging('20k', benchChange),
  'full-60k': staging('60k', benchFull),
  'change-60k': staging('60k', benchChange),
} as const satisfies Record<string, (settings: Settings) => Promise<Findings>>

export type BenchName = keyof typeof BENCHES

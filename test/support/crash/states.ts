// Owns the start states of the crash proofs, each made once as an image, and the operations that begin in them.
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Builds } from './builds.ts'
import { type Facts, look, type Published } from './check.ts'
import { type ErrandOrder, type Rest, runErrand } from './errand.ts'
import type { FileSystem, Mounted, Workshop } from './image.ts'
import { runChild } from './victim.ts'

export const STATES = {
  empty: 'empty root',
  one: 'a only',
  both: 'a hot, b cold',
  ready: 'cold is the wanted build',
  journalLost: 'journal lost',
  marksLost: 'marks lost',
  drift: 'cold has drifted',
  unclean: 'both sealed, unclean stop',
  halfway: 'killed while staging',
} as const
export type StateName = keyof typeof STATES

/** A root as it was left, in an image that nobody mounts but by a copy. */
export interface State {
  readonly name: StateName
  readonly kind: FileSystem
  readonly image: string
  readonly facts: Facts
  readonly hot: Published | null
  readonly cold: Published | null
  readonly generation: number
}

export const OPERATIONS = {
  first: 'first deploy',
  delta: 'deploy by delta',
  ranges: 'deploy by ranges',
  redeploy: 'redeploy',
  rollback: 'rollback',
  abort: 'abort of a staging',
  start: 'start',
} as const
export type OperationName = keyof typeof OPERATIONS

/** What is asked of a node in a state, and where it must end. */
export interface Operation {
  readonly name: OperationName
  readonly store: string
  readonly orders: readonly ErrandOrder[]
  /** See `Errand`. */
  readonly switchAt?: number
  readonly rest: Rest
  readonly wanted: Published
}

/** Every pair that makes sense. A rollback of a state whose cold tree is not armed sweeps first. */
export const MATRIX: readonly (readonly [StateName, OperationName])[] = [
  ['empty', 'first'],
  ['one', 'delta'],
  ['one', 'ranges'],
  ['one', 'redeploy'],
  ['one', 'abort'],
  ['both', 'delta'],
  ['both', 'ranges'],
  ['both', 'redeploy'],
  ['both', 'rollback'],
  ['both', 'abort'],
  ['both', 'start'],
  ['ready', 'delta'],
  ['journalLost', 'delta'],
  ['journalLost', 'rollback'],
  ['journalLost', 'start'],
  ['marksLost', 'delta'],
  ['marksLost', 'rollback'],
  ['drift', 'delta'],
  ['drift', 'rollback'],
  ['drift', 'start'],
  ['unclean', 'delta'],
  ['unclean', 'rollback'],
  ['unclean', 'start'],
  ['halfway', 'delta'],
  ['halfway', 'rollback'],
  ['halfway', 'start'],
]

export const rootOf = ({ path }: Mounted): string => join(path, 'root')

const order = (generation: number, build: Published, fallback: Published | null, more: Partial<ErrandOrder> = {}) => ({
  generation,
  build: build.build,
  manifest: build.manifest,
  fallback: fallback?.build ?? null,
  fallbackManifest: fallback?.manifest ?? null,
  ...more,
})

export function operationIn(state: State, name: OperationName, builds: Builds): Operation {
  const { one, two, zero, stores } = builds
  const { hot, cold, generation: g } = state
  const to = (orders: readonly ErrandOrder[], wanted: Published, rests: Published | null): Operation => {
    const store = name === 'ranges' ? stores.ranges : stores.deltas
    const generation = orders.at(-1)?.generation ?? g
    return { name, store, orders, wanted, rest: { hot: wanted.build, cold: rests?.build ?? null, generation } }
  }
  if (name === 'first') return to([order(g + 1, one, null)], one, null)
  assert.ok(hot !== null, `${name} needs something that runs`)
  switch (name) {
    case 'delta':
    case 'ranges':
      return to([order(g + 1, two, hot)], two, hot)
    case 'redeploy':
      return to([order(g + 1, hot, cold, { activation: 'again' })], hot, cold)
    case 'rollback':
      return to([order(g + 1, zero, hot)], zero, hot)
    case 'abort':
      return to([order(g + 1, two, hot, { cutoff: 0 }), order(g + 2, hot, cold)], hot, cold)
    case 'start':
      // The order under which it died is in force.
      return state.name === 'halfway' ? to([], two, hot) : to([], hot, cold)
  }
}

/** Makes the states of one file system, and keeps each. */
export class Quarry {
  readonly #workshop: Workshop
  readonly #builds: Builds
  readonly #kind: FileSystem
  readonly #made = new Map<StateName, Promise<State>>()

  constructor(workshop: Workshop, builds: Builds, kind: FileSystem) {
    this.#workshop = workshop
    this.#builds = builds
    this.#kind = kind
  }

  state(name: StateName): Promise<State> {
    const made = this.#made.get(name) ?? this.#make(name)
    this.#made.set(name, made)
    return made
  }

  async #make(name: StateName): Promise<State> {
    const { zero, one, two } = this.#builds
    switch (name) {
      case 'empty':
        return await this.#keep(name, await this.#workshop.make(this.#kind), { hot: null, cold: null, generation: 0 })
      case 'one':
        return await this.#after('empty', name, [order(1, one, null)], one, null)
      case 'both':
        return await this.#after(await this.#hidden(), name, [order(2, one, zero)], one, zero)
      case 'ready':
        return await this.#after('both', name, [order(3, two, one, { cutoff: 0 })], one, two)
      case 'journalLost':
        return await this.#spoilt(name, (root) => {
          for (const file of ['journal.json', 'clean']) rmSync(join(root, '.hotcold', file))
        })
      case 'marksLost':
        return await this.#spoilt(name, (root) => rmSync(join(root, '.hotcold/marks.json')))
      case 'unclean':
        return await this.#spoilt(name, (root) => rmSync(join(root, '.hotcold/clean')))
      case 'drift':
        return await this.#spoilt(name, drift)
      case 'halfway':
        return await this.#halfway()
    }
  }

  /** A root on which zero was deployed. */
  async #hidden(): Promise<State> {
    return await this.#after('empty', 'one', [order(1, this.#builds.zero, null)], this.#builds.zero, null)
  }

  async #after(
    from: StateName | State,
    name: StateName,
    orders: readonly ErrandOrder[],
    hot: Published,
    cold: Published | null,
  ): Promise<State> {
    const { kind, image } = typeof from === 'string' ? await this.state(from) : from
    const mounted = await this.#workshop.copy(kind, image)
    const generation = orders.at(-1)?.generation ?? 0
    const rest = { hot: hot.build, cold: cold?.build ?? null, generation }
    mkdirSync(rootOf(mounted), { recursive: true })
    await runErrand({ root: rootOf(mounted), store: this.#builds.stores.deltas, orders, rest })
    return await this.#keep(name, mounted, { hot, cold, generation })
  }

  async #spoilt(name: StateName, spoil: (root: string) => void): Promise<State> {
    const both = await this.state('both')
    const mounted = await this.#workshop.copy(both.kind, both.image)
    spoil(rootOf(mounted))
    return await this.#keep(name, mounted, both)
  }

  /** Killed at the first step after which cold has no seal and is not what it was. */
  async #halfway(): Promise<State> {
    const both = await this.state('both')
    const { store, orders, rest } = operationIn(both, 'delta', this.#builds)
    for (let at = 8; ; at += 8) {
      const mounted = await this.#workshop.copy(both.kind, both.image)
      const root = rootOf(mounted)
      const { killed } = await runChild({ root, store, orders, rest }, { failpoint: `*@${at}:kill` })
      assert.ok(killed, 'a staging unseals cold before it is done')
      const { seals, generation } = look(root)
      if (seals.a !== null && seals.b !== null) await mounted.release()
      else return await this.#keep('halfway', mounted, { hot: both.hot, cold: null, generation: generation ?? 0 })
    }
  }

  async #keep(
    name: StateName,
    mounted: Mounted,
    { hot, cold, generation }: Pick<State, 'hot' | 'cold' | 'generation'>,
  ): Promise<State> {
    const root = rootOf(mounted)
    mkdirSync(root, { recursive: true })
    const facts = look(root)
    await mounted.release('keep')
    return { name, kind: this.#kind, image: mounted.image, facts, hot, cold, generation }
  }
}

/** An application wrote into the tree while it was hot, a file changed, one gone, one more, and nobody has swept it since. */
function drift(root: string): void {
  const cold = join(root, 'cold')
  const marks = join(root, '.hotcold/marks.json')
  writeFileSync(marks, JSON.stringify({ ...JSON.parse(readFileSync(marks, 'utf8')), armed: null }))
  appendFileSync(join(cold, 'a/one'), 'more')
  rmSync(join(cold, 'b/three'))
  writeFileSync(join(cold, 'b/cache'), 'kept by the application')
}

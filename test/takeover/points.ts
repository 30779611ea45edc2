// Owns the points at which a driving release is struck: every kind of transaction on its way, before and after, and every soak.
import type { Moment } from '#test/support/txn-door.ts'

export const SOAK_SECONDS = 0.8

/** `good`: the build reaches everybody. `bad`: its smoke test fails in staging and it is rolled back. */
export type Way = 'good' | 'bad'

export interface Point {
  readonly way: Way
  /** Label of the transaction, or of the one that the soak follows. */
  readonly at: string
  readonly moment: Moment | 'in soak'
  /** By SIGKILL, or by SIGSTOP and going on when another has taken over. */
  readonly fate: 'killed' | 'frozen'
  /** How the other one comes by the lease: by name, or by waiting until the session of the first has ended. */
  readonly by: 'take-over' | 'waiting'
}

const BEGINNING = [
  'release-begun',
  'stage staging 0 of 4',
  'stage canary 0 of 4',
  'raise staging 4 of 4',
  'stage-converged staging 100',
  'smoke-tested staging 100',
]
const ONWARD = [
  'stage-passed staging 100',
  'stage production 0 of 4',
  'raise canary 4 of 4',
  'stage-converged canary 100',
  'stage-passed canary 100',
  'raise production 1 of 4',
  'stage-converged production 25',
  'stage-passed production 25',
  'raise production 2 of 4',
  'stage-converged production 50',
  'stage-passed production 50',
  'raise production 4 of 4',
  'stage-converged production 100',
  'ended',
]
const BACK = ['rollback-begun', 'close staging 4 of 4', 'close canary 4 of 4', 'ended']

/** The whole history of an undisturbed rollout: each transaction has one event. */
export function journeyOf(way: Way): readonly string[] {
  return [...BEGINNING, ...(way === 'good' ? ONWARD : BACK)]
}

/** Every place on both ways, without fate and successor: 53. */
function places(): readonly Pick<Point, 'way' | 'at' | 'moment'>[] {
  const around = (way: Way, at: string) =>
    (['before send', 'after commit'] as const).map((moment) => ({ way, at, moment }))
  const good = journeyOf('good')
  const soaks = good.filter((at) => at.startsWith('stage-converged'))
  return [
    ...good.flatMap((at) => around('good', at)),
    ...soaks.map((at) => ({ way: 'good' as const, at, moment: 'in soak' as const })),
    ...BACK.flatMap((at) => around('bad', at)),
  ]
}

/** All points with this fate; every sixth is taken over by waiting, at places that differ between the fates. */
export function pointsOf(fate: Point['fate']): readonly Point[] {
  const shift = fate === 'killed' ? 0 : 3
  return places().map((place, i) => ({ ...place, fate, by: i % 6 === shift ? 'waiting' : 'take-over' }))
}

export function nameOf({ way, at, moment, fate, by }: Point): string {
  const where = moment === 'in soak' ? `in the soak after ${at}` : `${moment} of ${at}`
  return `${fate} ${where} of a ${way} build; another goes on by ${by}`
}

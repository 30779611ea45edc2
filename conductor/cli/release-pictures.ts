// Owns the rings of a rollout as its end shows them.
import { pictureOf, type RingPicture } from '#conductor/core/picture.ts'
import type { Driven } from '#conductor/shell/reconcile.ts'
import type { Bench } from './world.ts'

export function ringPictures({ app, clock }: Bench, { observed, rollout }: Driven): readonly RingPicture[] {
  const rings = Object.values(observed.fleet.rings).filter(({ ring }) => ring in rollout.fallbacks)
  return pictureOf({ app, rings, fleet: observed.fleet, rollout, lease: null, builds: [], now: clock.now() }).rings
}

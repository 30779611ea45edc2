// Owns what the history tells where a release begins so that deploys can be counted from it alone, whatever becomes of the catalog.
import type { ReleaseStart } from './beginning.ts'

/** `published`: when its build was. `back`: it goes to an older build by name, and is no deploy. */
export function deliveryFacts({ beginning, published }: Extract<ReleaseStart, { kind: 'begin' }>): {
  readonly published: string
  readonly back?: true
} {
  return { published, ...(beginning.back === true && { back: true }) }
}

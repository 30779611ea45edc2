// Owns the names of every Consul key: nobody else spells a path.
import { isName, type Name } from './build.ts'

/** Default prefix of all keys; the `1` is the version of the whole layout. */
export const DEFAULT_PREFIX = 'hotcold/v1'

/** The keys of one app under a prefix. Names are grammar-checked before they get here, so none can hold a slash. */
export function keysOf(prefix: string, app: string) {
  const base = `${prefix}/${app}`
  return {
    app: `${base}/`,
    target: (ring: string) => `${base}/${ring}/target`,
    nodes: (ring: string) => `${base}/${ring}/nodes/`,
    node: (ring: string, node: string) => `${base}/${ring}/nodes/${node}`,
    pin: (ring: string, node: string) => `${base}/${ring}/pins/${node}`,
    builds: `${base}/builds/`,
    build: (build: string) => `${base}/builds/${build}`,
    requests: `${base}/requests/`,
    request: (id: string) => `${base}/requests/${id}`,
    rollout: `${base}/rollout`,
    finishedRollout: (id: string) => `${base}/rollouts/${id}`,
    history: `${base}/history/`,
    /** `seq` in 12 digits, so that the keys sort as the events happened. */
    historyEntry: (seq: number) => `${base}/history/${String(seq).padStart(12, '0')}`,
    /** The ring of a key below the app, whole or cut off after the ring's slash; null for the app's own keys. */
    ringOf: (key: string): Name | null => {
      const [ring = '', ...rest] = key.startsWith(`${base}/`) ? key.slice(base.length + 1).split('/') : []
      return rest.length > 0 && isName(ring) && !RESERVED_RINGS.includes(ring) ? ring : null
    },
    /** The number in the name of a history entry; null for any other name. */
    seqOf: (name: string) => (/^\d{12}$/.test(name) ? Number(name) : null),
    /** What became of each slot, named by its instant. */
    slots: `${base}/schedule/`,
    slot: (at: string) => `${base}/schedule/${at}`,
    lease: `${base}/lease`,
    hold: `${base}/hold`,
  } as const
}

export type Keys = ReturnType<typeof keysOf>

/** Ring names that would collide with an app's own keys (`<app>/rollout`, …). */
export const RESERVED_RINGS: readonly string[] = [
  'builds',
  'requests',
  'rollout',
  'rollouts',
  'history',
  'lease',
  'hold',
  'schedule',
]

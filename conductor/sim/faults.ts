// Owns the names of what may go wrong in a simulation, and how they are asked for.
import { FleetError } from '#fleet/errors.ts'

/** Each with what it does. */
export const FAULTS = {
  late: 'orders and statuses take up to half a minute',
  lost: 'orders and statuses get lost and are read or sent again later',
  reordered: 'an older order or status arrives after a newer one',
  silent: 'one node in ten is cut off or down for a while',
  'crash-node': 'pullers die anywhere and are started again',
  'crash-conductor': 'a conductor dies before it sends, or after the commit and before the reply; replies get lost',
  lease: 'leases are lost, and conductors frozen with a write in hand wake up without theirs',
  rivals: 'two conductors',
  'by-hand': 'somebody writes a bare build id',
  restore: 'Consul is restored to a snapshot of a moment ago',
  'bad-build': 'builds fail on every node or on some',
  flaky: 'any job of a node fails now and then',
  joiners: 'nodes join',
  leavers: 'nodes die for ever, or are forgotten',
  stalls: 'nodes hang in whatever they do, so that stages stall',
  operators: 'people roll back, pause and go on',
  gates: 'gates fail or cannot tell',
  store: 'the store is away',
} as const
export type Fault = keyof typeof FAULTS

export const ALL_FAULTS = Object.keys(FAULTS) as readonly Fault[]

/** `all`, `none`, or names with commas between. @throws FleetError `USAGE` naming what there is */
export function readFaults(text: string): ReadonlySet<Fault> {
  if (text === 'all') return new Set(ALL_FAULTS)
  const named = text.split(',').filter((name) => name !== '' && name !== 'none')
  const unknown = named.find((name) => !(name in FAULTS))
  if (unknown !== undefined) {
    throw new FleetError('USAGE', `${unknown} is no fault: all, none, or some of ${ALL_FAULTS.join(', ')}`)
  }
  return new Set(named as Fault[])
}

// Owns the whole examination: the facts of one machine, and the findings that they make.
import { type ConfigFacts, configFindings } from './doctor-config.ts'
import { type ConsulFacts, consulFindings } from './doctor-consul.ts'
import { credentialFinding, type PullerFacts, pullerFindings, type UnitFacts, unitFindings } from './doctor-node.ts'
import { type StoreFacts, storeFindings } from './doctor-store.ts'
import { type Finding, finding, type Looked, type Outcome, told } from './finding.ts'

export interface Facts {
  readonly config: ConfigFacts
  readonly consuls: readonly ConsulFacts[]
  readonly stores: readonly StoreFacts[]
  readonly pullers: readonly PullerFacts[]
  readonly machine: MachineFacts
}

export interface MachineFacts {
  readonly synchronised: Looked<boolean>
  /** Like `2026a`. */
  readonly zones: string
  readonly year: number
  /** What `node --version` of this installation says. */
  readonly node: Looked<string>
  /** Null: no unit of the conductor is expected here. */
  readonly conductor: Looked<UnitFacts> | null
  readonly credentials: PullerFacts['credentials']
}

const NODE_MAJOR = 26
const OLD_YEARS = 2

/** All findings, in the order of the table. */
export function examine({ config, consuls, stores, pullers, machine }: Facts): readonly Finding[] {
  return [
    ...configFindings(config),
    ...consuls.flatMap(consulFindings),
    ...stores.flatMap(storeFindings),
    told('clock-synchronised', 'machine', machine.synchronised, synchronised, {}, 'unseen'),
    zonesFinding(machine),
    ...pullers.flatMap(pullerFindings),
    nodeFinding(machine),
    ...(machine.conductor === null ? [] : unitFindings('conduct', 'conductor', machine.conductor)),
    ...machine.credentials.map(({ file, there }) => credentialFinding('conduct', file, there)),
  ]
}

/** How many findings came out each way. */
export function tally(findings: readonly Finding[]): Readonly<Record<Outcome, number>> {
  const count = (outcome: Outcome) => findings.filter((one) => one.outcome === outcome).length
  return { wrong: count('wrong'), warning: count('warning'), unseen: count('unseen'), ok: count('ok') }
}

function synchronised(yes: boolean): Finding {
  const sentence = `The clock is ${yes ? '' : 'not '}synchronised`
  return finding('clock-synchronised', 'machine', yes ? 'ok' : 'warning', sentence)
}

function zonesFinding({ zones, year }: MachineFacts): Finding {
  const of = Number(/^\d{4}/.exec(zones)?.[0] ?? 0)
  const old = year - of >= OLD_YEARS
  return finding('clock-zones', 'machine', old ? 'warning' : 'ok', `Zone data is of ${zones || 'an unknown version'}`)
}

function nodeFinding({ node }: MachineFacts): Finding {
  const missing = node.kind === 'failed' && /libatomic/.test(node.detail)
  const todo = missing ? 'apt-get install --no-install-recommends libatomic1' : 'npm ci --omit=dev in this installation'
  return told(
    'unit-node',
    'machine',
    node,
    (version) => {
      const right = version.startsWith(`v${NODE_MAJOR}.`)
      return finding('unit-node', 'machine', right ? 'ok' : 'warning', `Node is ${version}`, { todo })
    },
    { todo },
  )
}

// Owns looking at one program of this machine: the Consul and the store that its config names, with its own rights.
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { CUSTOMARY_RINGS } from '#conductor/config.ts'
import { type ConductKept, keptRings } from '#conductor/config-doctor.ts'
import type { ConfigFacts } from '#conductor/core/doctor-config.ts'
import { type ConsulFacts, conductorNeeds, pullerNeeds } from '#conductor/core/doctor-consul.ts'
import type { PullerFacts } from '#conductor/core/doctor-node.ts'
import type { StoreFacts } from '#conductor/core/doctor-store.ts'
import { type Looked, unseen } from '#conductor/core/finding.ts'
import type { Name } from '#fleet/build.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { buildOf, newestOf, ringsOf, sizeOf } from './builds.ts'
import { consulFacts, type Subject, withToken } from './consul.ts'
import { look } from './look.ts'
import { type PullerFile, pullerFacts } from './node.ts'
import type { ConsulQuestions, ConsulSettings, Doctoring, StoreSettings } from './ports.ts'
import { storeFacts } from './store.ts'

const OPEN_MS = 5_000

/** What the command line names. */
export interface Asked {
  readonly file: string | null
  readonly looked: readonly string[]
  readonly app: string | undefined
  readonly consul: string | undefined
  readonly store: string | undefined
  /** Configurations of pullers; empty: those that are found on this machine. */
  readonly pullers: readonly string[]
}

export interface Side {
  readonly consul: ConsulFacts | null
  readonly store: StoreFacts | null
}

export async function conductSide(
  asked: Asked,
  kept: ConductKept,
  app: string | null,
  doctoring: Doctoring,
): Promise<Side & Pick<ConfigFacts, 'rings'>> {
  const asking = await withToken(consulOf(asked, kept, doctoring), 'hotcold-conductor')
  const file = asked.file ?? asked.looked.at(-1) ?? 'the config'
  const questions = await look(OPEN_MS, doctoring.signal, async () => doctoring.consul(asking.settings))
  try {
    const named = keptRings(kept)
    const subject = { about: 'conduct', file, ...asking, ...conductKeys(questions, app, named ?? CUSTOMARY_RINGS) }
    const consul = await consulFacts(subject, questions, doctoring)
    const rings = await ringsOf(questions, consul, app, named, doctoring)
    const newest = await newestOf(questions, consul, app, doctoring)
    const storeSettings = storeOf(asked, kept, doctoring)
    const opened = storeSettings && (await openStore(storeSettings, doctoring))
    const build = buildOf(newest)
    const store = await storeFacts(
      { about: 'conduct', file, settings: storeSettings, writes: true, newest: build },
      opened,
      doctoring,
    )
    return { consul, store, rings }
  } finally {
    if (questions.kind === 'seen') questions.value.close()
  }
}

export async function pullerSide(
  file: PullerFile,
  doctoring: Doctoring,
): Promise<Side & { readonly facts: PullerFacts }> {
  const { kept, name } = file
  if (kept === null) {
    const facts = await pullerFacts(file, unseen('the configuration cannot be read'), doctoring)
    return { consul: null, store: null, facts }
  }
  const about = `puller ${name}`
  const { prefix } = kept
  const named = { ...kept.consul, url: kept.consul.url ?? LOCAL, ...(prefix !== undefined && { prefix }) }
  const asking = await withToken(named, `hotcold-${name}`)
  const questions = await look(OPEN_MS, doctoring.signal, async () => doctoring.consul(asking.settings))
  try {
    const { app = null, ring, node } = kept
    const subject = { about, file: file.file, ...asking, ...pullerKeys(questions, app, ring, node) }
    const consul = await consulFacts(subject, questions, doctoring)
    const newest = await newestOf(questions, consul, app, doctoring)
    const opened = kept.store === undefined ? null : await openStore(kept.store, doctoring)
    const of = { about, file: file.file, settings: kept.store ?? null, writes: false, newest: buildOf(newest) }
    const [store, size] = await Promise.all([storeFacts(of, opened, doctoring), sizeOf(newest, opened, doctoring)])
    return { consul, store, facts: await pullerFacts(file, size, doctoring) }
  } finally {
    if (questions.kind === 'seen') questions.value.close()
  }
}

const LOCAL = 'http://127.0.0.1:8500'

/** As the verbs settle it: options, then the config, and without any the variables of Consul's own command line. */
function consulOf({ consul, file }: Asked, kept: ConductKept, { env }: Doctoring): ConsulSettings {
  const around = file === null ? (env.CONSUL_HTTP_ADDR ?? '') : ''
  const address = around === '' || around.includes('://') ? around : `http://${around}`
  const token = kept.consul.token ?? (file === null ? env.CONSUL_HTTP_TOKEN : undefined)
  const url = consul ?? (address === '' ? (kept.consul.url ?? LOCAL) : address)
  return { ...kept.consul, url, ...(token !== undefined && { token }) }
}

function storeOf({ store }: Asked, kept: ConductKept, { cwd }: Doctoring): StoreSettings | null {
  if (store === undefined) return kept.store ?? null
  const url = store.includes('://') ? store : `file://${resolve(cwd, store)}`
  return { ...kept.store, url }
}

type Keyed = Pick<Subject, 'needs' | 'scratch' | 'watched'>
const UNKNOWN: Keyed = { needs: null, scratch: null, watched: null }

function conductKeys(questions: Looked<ConsulQuestions>, app: string | null, rings: readonly Name[]): Keyed {
  if (questions.kind !== 'seen' || app === null) return UNKNOWN
  const keys = questions.value.keys(app)
  const { rollout, lease, hold } = keys
  const names = {
    ...{ rollout, lease, hold, request: keys.request('doctor'), build: keys.build('doctor') },
    ...{ finished: keys.finishedRollout('doctor'), history: keys.historyEntry(0), slot: keys.slot('doctor') },
  }
  return {
    needs: conductorNeeds({ app: keys.app, target: keys.target, names, rings }),
    scratch: keys.request(`doctor-${randomUUID()}`),
    watched: keys.target(rings.at(-1) ?? 'production'),
  }
}

function pullerKeys(
  questions: Looked<ConsulQuestions>,
  app: string | null,
  ring: string | undefined,
  node: string | undefined,
): Keyed {
  if (questions.kind !== 'seen' || app === null || ring === undefined || node === undefined) return UNKNOWN
  const keys = questions.value.keys(app)
  const target = keys.target(ring)
  const needs = pullerNeeds({ target, node: keys.node(ring, node), pin: keys.pin(ring, node), builds: keys.builds })
  return { needs, scratch: null, watched: target }
}

function openStore(settings: StoreSettings, { signal, store }: Doctoring): Promise<Looked<BuildStore>> {
  return look(OPEN_MS, signal, () => store(settings))
}

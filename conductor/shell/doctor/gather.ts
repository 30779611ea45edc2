// Owns the order of an examination: what is looked at beside what, and which fact needs which other.
import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'
import { CUSTOMARY_RINGS } from '#conductor/config.ts'
import { type ConductKept, keptRings } from '#conductor/config-doctor.ts'
import type { Facts, MachineFacts } from '#conductor/core/doctor.ts'
import type { ConfigFacts } from '#conductor/core/doctor-config.ts'
import { type ConsulFacts, conductorNeeds, pullerNeeds } from '#conductor/core/doctor-consul.ts'
import type { PullerFacts } from '#conductor/core/doctor-node.ts'
import type { StoreFacts } from '#conductor/core/doctor-store.ts'
import { type Looked, unseen } from '#conductor/core/finding.ts'
import { readManifest } from '#conductor/shell/read-manifest.ts'
import { isName, type Name } from '#fleet/build.ts'
import type { BuildStore, CatalogEntry } from '#fleet/ports.ts'
import { conductPrograms, gateFacts, problemOf, pullerFiles, scheduleFacts } from './config.ts'
import { consulFacts, type Subject } from './consul.ts'
import { look } from './look.ts'
import { type PullerFile, pullerFacts } from './node.ts'
import type { ConsulQuestions, ConsulSettings, Doctoring, StoreSettings } from './ports.ts'
import { UNIT_PATH, whoIs } from './programs.ts'
import { storeFacts } from './store.ts'
import { ask, credentialsOf, synchronised, unitOf } from './units.ts'

const ASK_MS = 5_000
const OPEN_MS = 5_000
const BUILD_MS = 20_000
const BLOCK_BYTES = 4_096

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

/** Everything that can be found out; never throws but the signal's reason. */
export async function gather(asked: Asked, doctoring: Doctoring): Promise<Facts> {
  const files = await pullerFiles(asked.pullers, doctoring)
  const { file, looked } = asked
  const problem = file === null ? null : problemOf(() => doctoring.checkConfig(file))
  const kept = keptOf(file, doctoring)
  const dir = file === null ? doctoring.cwd : dirname(file)
  const app = asked.app ?? kept.app ?? null
  const unit = await unitOf('hotcold-conductor', 'hotcold-conductor.service', doctoring)
  const installed = unit.kind === 'seen' && unit.value.facts.load === 'loaded'
  const who = await whoIs(installed ? (unit.value.user ?? 'root') : null)
  const path = installed ? UNIT_PATH : (doctoring.env.PATH ?? UNIT_PATH)
  // On a machine that has pullers alone nothing is conducted.
  const conducts = file !== null || app !== null || files.length === 0
  const [conduct, pullers, machine, gates, programs] = await Promise.all([
    conducts ? conductSide(asked, kept, app, doctoring) : null,
    Promise.all(files.map((one) => pullerSide(one, doctoring))),
    machineFacts(doctoring),
    gateFacts(kept, doctoring),
    conductPrograms(kept, { who, path, cwd: dir }),
  ])
  const config: ConfigFacts = {
    ...{ file, looked, problem, app, gates, programs, pullers: files.length },
    rings: conduct?.rings ?? unseen('This machine has pullers alone'),
    schedule: scheduleFacts(kept, dir, doctoring),
  }
  const sides = [...(conduct === null ? [] : [conduct]), ...pullers]
  return {
    config,
    consuls: sides.flatMap(({ consul }) => consul ?? []),
    stores: sides.flatMap(({ store }) => store ?? []),
    pullers: pullers.map(({ facts }) => facts),
    machine: {
      ...machine,
      conductor: installed ? { kind: 'seen', value: unit.value.facts } : null,
      credentials: installed ? await credentialsOf(kept.consul.tokenFile, 'hotcold-conductor', doctoring) : [],
    },
  }
}

function keptOf(file: string | null, { keepConfig }: Doctoring): ConductKept {
  let kept: ConductKept = { consul: {}, gates: [] }
  if (file === null) return kept
  // What it says is told elsewhere: here it is only that nothing of it can be kept.
  problemOf(() => {
    kept = keepConfig(file)
  })
  return kept
}

interface Side {
  readonly consul: ConsulFacts | null
  readonly store: StoreFacts | null
}

async function conductSide(
  asked: Asked,
  kept: ConductKept,
  app: string | null,
  doctoring: Doctoring,
): Promise<Side & Pick<ConfigFacts, 'rings'>> {
  const settings = consulOf(asked, kept, doctoring)
  const file = asked.file ?? asked.looked.at(-1) ?? 'the config'
  const questions = await look(OPEN_MS, doctoring.signal, async () => doctoring.consul(settings))
  try {
    const named = keptRings(kept)
    const subject = { about: 'conduct', file, settings, ...conductKeys(questions, app, named ?? CUSTOMARY_RINGS) }
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

async function pullerSide(file: PullerFile, doctoring: Doctoring): Promise<Side & { readonly facts: PullerFacts }> {
  const { kept, name } = file
  if (kept === null) {
    const facts = await pullerFacts(file, unseen('the configuration cannot be read'), doctoring)
    return { consul: null, store: null, facts }
  }
  const about = `puller ${name}`
  const settings = {
    ...kept.consul,
    url: kept.consul.url ?? LOCAL,
    ...(kept.prefix !== undefined && { prefix: kept.prefix }),
  }
  const questions = await look(OPEN_MS, doctoring.signal, async () => doctoring.consul(settings))
  try {
    const { app = null, ring, node } = kept
    const subject = { about, file: file.file, settings, ...pullerKeys(questions, app, ring, node) }
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
  const url = store.includes('://') ? store : `file://${join(cwd, store)}`
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

/** Null: Consul can be asked on. */
function silenceOf({ leader }: ConsulFacts): ReturnType<typeof unseen> | null {
  if (leader.kind !== 'seen') return unseen('Consul did not answer')
  return leader.value.leader === '' ? unseen('Consul has no leader') : null
}

async function ringsOf(
  questions: Looked<ConsulQuestions>,
  consul: ConsulFacts,
  app: string | null,
  named: readonly Name[] | null,
  { signal }: Doctoring,
): Promise<ConfigFacts['rings']> {
  const silence = silenceOf(consul)
  if (questions.kind !== 'seen' || app === null) return unseen('No app is known')
  if (silence !== null) return silence
  const keys = questions.value.keys(app)
  return look(ASK_MS, signal, async (one) => {
    const rings = named ?? CUSTOMARY_RINGS
    const there = await Promise.all(rings.map((ring) => questions.value.exists(keys.target(ring), one)))
    const missing = rings.filter((_, i) => there[i] !== true)
    if (named !== null) return { named, missing }
    // Nothing names rings: those of the customary path count that are there, and without any `init` makes the last.
    const found = rings.filter((_, i) => there[i] === true)
    return { named: found, missing: found.length > 0 ? [] : rings.slice(-1) }
  })
}

async function newestOf(
  questions: Looked<ConsulQuestions>,
  consul: ConsulFacts,
  app: string | null,
  { signal }: Doctoring,
): Promise<Looked<CatalogEntry | null>> {
  const silence = silenceOf(consul)
  if (questions.kind !== 'seen' || app === null || !isName(app)) return unseen('No app is known')
  if (silence !== null) return silence
  return look(ASK_MS, signal, async (one) => (await questions.value.builds(app, one))[0] ?? null)
}

function buildOf(newest: Looked<CatalogEntry | null>): Looked<string | null> {
  return newest.kind === 'seen' ? { kind: 'seen', value: newest.value?.build ?? null } : newest
}

function openStore(settings: StoreSettings, { signal, store }: Doctoring): Promise<Looked<BuildStore>> {
  return look(OPEN_MS, signal, () => store(settings))
}

async function sizeOf(
  newest: Looked<CatalogEntry | null>,
  opened: Looked<BuildStore> | null,
  { signal }: Doctoring,
): Promise<PullerFacts['build']> {
  if (newest.kind !== 'seen') return newest
  const entry = newest.value
  if (entry === null) return unseen('no build was published yet')
  if (opened?.kind !== 'seen') return unseen('the store could not be opened')
  return look(BUILD_MS, signal, async (one) => {
    const { app, build, manifest: digest } = entry
    const found = await readManifest(opened.value, { app, build, digest }, one)
    if (found === null) throw new Error(`the manifest of ${build} is not in the store`)
    const { entries } = found.manifest
    const blocks = entries.reduce((sum, { size, type }) => sum + (type === 'd' ? 1 : Math.ceil(size / BLOCK_BYTES)), 0)
    return { bytes: blocks * BLOCK_BYTES, inodes: entries.length }
  })
}

async function machineFacts(doctoring: Doctoring): Promise<Omit<MachineFacts, 'conductor' | 'credentials'>> {
  const { clock, home, signal } = doctoring
  const node = await look(ASK_MS, signal, async () =>
    (await ask([join(home, 'node_modules/.bin/node'), '--version'], doctoring)).trim(),
  )
  const year = new Date(clock.now()).getUTCFullYear()
  return { synchronised: await synchronised(doctoring), zones: process.versions.tz ?? '', year, node }
}

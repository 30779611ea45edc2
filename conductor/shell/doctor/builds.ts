// Owns what is asked of Consul and the store once Consul has answered: rings that exist, the newest build and its size.
import { CUSTOMARY_RINGS } from '#conductor/config.ts'
import type { ConfigFacts } from '#conductor/core/doctor-config.ts'
import type { ConsulFacts } from '#conductor/core/doctor-consul.ts'
import type { PullerFacts } from '#conductor/core/doctor-node.ts'
import { type Looked, unseen } from '#conductor/core/finding.ts'
import { readManifest } from '#conductor/shell/read-manifest.ts'
import { isName, type Name } from '#fleet/build.ts'
import type { BuildStore, CatalogEntry } from '#fleet/ports.ts'
import { look } from './look.ts'
import type { ConsulQuestions, Doctoring } from './ports.ts'

const ASK_MS = 5_000
const BUILD_MS = 20_000
const BLOCK_BYTES = 4_096

/** Null: Consul can be asked on. */
function silenceOf({ leader }: ConsulFacts): ReturnType<typeof unseen> | null {
  if (leader.kind !== 'seen') return unseen('Consul did not answer')
  return leader.value.leader === '' ? unseen('Consul has no leader') : null
}

export async function ringsOf(
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

export async function newestOf(
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

export function buildOf(newest: Looked<CatalogEntry | null>): Looked<string | null> {
  return newest.kind === 'seen' ? { kind: 'seen', value: newest.value?.build ?? null } : newest
}

export async function sizeOf(
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

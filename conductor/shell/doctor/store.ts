// Owns gathering the facts of one store: the newest manifest, a scratch object that two create at once, and the store's clock.
import { randomUUID } from 'node:crypto'
import type { StoreFacts } from '#conductor/core/doctor-store.ts'
import { type Looked, unseen } from '#conductor/core/finding.ts'
import { FleetError } from '#fleet/errors.ts'
import { objectsOf } from '#fleet/manifest.ts'
import type { BuildStore, Clock } from '#fleet/ports.ts'
import { look } from './look.ts'
import type { Doctoring, StoreSettings } from './ports.ts'

const READ_MS = 10_000
const WRITE_MS = 20_000
const DATE_MS = 5_000

export interface StoreSubject {
  readonly about: string
  readonly file: string
  readonly settings: StoreSettings | null
  /** A puller only reads. */
  readonly writes: boolean
  /** Of the catalog; null: none was published. */
  readonly newest: Looked<string | null>
}

export async function storeFacts(
  subject: StoreSubject,
  opened: Looked<BuildStore> | null,
  { signal, clock }: Doctoring,
): Promise<StoreFacts> {
  const { about, file, settings, newest, writes } = subject
  if (settings === null || opened === null) {
    const none = unseen('No store is named')
    return { about, file, url: null, newest: none, creators: none, aheadMs: none }
  }
  const { url } = settings
  if (opened.kind !== 'seen') {
    const none = unseen('The store could not be opened')
    return { about, file, url, newest: opened, creators: none, aheadMs: none }
  }
  const store = opened.value
  const found = await readNewest(store, newest, signal)
  const down = found.kind === 'failed' && ['STORE_UNREACHABLE', 'late'].includes(found.code)
  const creators = !writes
    ? unseen('A puller only reads')
    : down
      ? unseen('The store does not answer')
      : /^https?:/.test(url)
        ? unseen('A store behind http is for readers alone: publish elsewhere')
        : await look(WRITE_MS, signal, (one) => createTwice(store, one))
  return { about, file, url, newest: found, creators, aheadMs: await clockOf(settings, clock, signal) }
}

async function readNewest(
  store: BuildStore,
  newest: Looked<string | null>,
  signal: AbortSignal,
): Promise<StoreFacts['newest']> {
  const build = newest.kind === 'seen' ? newest.value : null
  // Without a build to look for the question is still worth asking: a store that is away, or that refuses, says so.
  const found = await look(READ_MS, signal, (one) => store.find(objectsOf.manifest(build ?? 'doctor'), one))
  if (found.kind !== 'seen') return found
  if (build !== null) return { kind: 'seen', value: { build, bytes: found.value?.bytes ?? null } }
  if (newest.kind === 'seen') return unseen('The store answers; no build was published yet')
  return unseen(
    `The store answers; the newest build is not known: ${newest.kind === 'unseen' ? newest.why : newest.detail}`,
  )
}

/** How many of two were told that they created it. Each holds its bytes back until the other has begun too, so that neither finds it there. */
async function createTwice(store: BuildStore, signal: AbortSignal): Promise<number> {
  const name = `doctor-${randomUUID()}/scratch`
  const both = Promise.withResolvers<void>()
  let begun = 0
  async function* body() {
    begun += 1
    if (begun === 2) both.resolve()
    await both.promise
    yield new TextEncoder().encode('conduct doctor')
  }
  const create = async () => {
    try {
      return await store.create(name, body(), signal)
    } finally {
      // One that ended before it began must not keep the other waiting.
      both.resolve()
    }
  }
  const ends = await Promise.allSettled([create(), create()])
  const failed = ends.find((end) => end.status === 'rejected')
  const there = failed === undefined && (await store.find(name, signal)) !== null
  // Where it cannot be made, why is told by that, and not by what becomes of removing it.
  await store.remove(name, signal).catch((error: unknown) => {
    if (failed === undefined) throw error
  })
  if (failed !== undefined) throw failed.reason
  if (!there) throw new FleetError('STORE_BAD_ANSWER', 'an object that was just created is not there')
  return ends.filter((end) => end.status === 'fulfilled' && end.value === 'created').length
}

async function clockOf(settings: StoreSettings, clock: Clock, signal: AbortSignal): Promise<StoreFacts['aheadMs']> {
  const address = addressOf(settings)
  if (address === null) return unseen('A directory has no clock of its own')
  const found = await look(DATE_MS, signal, async (one) => {
    const answer = await fetch(address, { method: 'HEAD', redirect: 'manual', signal: one })
    const at = Date.parse(answer.headers.get('date') ?? '')
    return Number.isNaN(at) ? null : at + 500 - clock.now()
  })
  if (found.kind !== 'seen') return found
  return found.value === null ? unseen('The store sends no Date') : { kind: 'seen', value: found.value }
}

function addressOf({ url, endpoint, region }: StoreSettings): string | null {
  if (/^https?:/.test(url)) return url
  if (!url.startsWith('s3:')) return null
  return endpoint ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com`
}

// Owns the judgement of what was seen of a store: readable, writable, one creator of an object, and its clock.
import { apartText } from './doctor-consul.ts'
import { type Finding, finding, type Looked, told } from './finding.ts'

export interface StoreFacts {
  readonly about: string
  readonly file: string
  /** Null: the config names no store. */
  readonly url: string | null
  /** Bytes of the manifest of the newest build; null: it is not there. */
  readonly newest: Looked<{ readonly build: string; readonly bytes: number | null }>
  /** Which of two creators at once were told that they created it; removed again. */
  readonly creators: Looked<number>
  /** The store's clock less ours, in milliseconds. */
  readonly aheadMs: Looked<number>
}

const APART_MS = 60_000
const FAR_APART_MS = 600_000

/** What helps, by the code of what failed. */
const HELP: Readonly<Record<string, string>> = {
  STORE_DENIED:
    'give credentials that may read and list (and, to publish, write and delete) in {url}; of a unit they lie in /etc/credstore: AWS_SHARED_CREDENTIALS_FILE=/etc/credstore/hotcold-APP.aws conduct doctor takes them',
  STORE_CLOCK_SKEW: 'synchronise the clock: timedatectl set-ntp true',
  STORE_READ_ONLY: 'publish to a file or S3 store: http is for readers',
  STORE_MISSING: 'make the bucket, or name another by store.url in {file}',
  CONFIG_INVALID: 'mend store.url in {file}',
}
const UNREACHABLE = 'look whether {url} is there (mounted, listening), or name another by store in {file}'

export function storeFindings(facts: StoreFacts): readonly Finding[] {
  const { about, url, file } = facts
  if (url === null) {
    const todo = `name one by store.url in ${file}, or by --store`
    return [finding('store-read', about, 'warning', 'No store is named: nothing can be published', { todo })]
  }
  return [
    told(
      'store-read',
      about,
      facts.newest,
      ({ build, bytes }) => newestFinding(facts, build, bytes),
      wordsFor(facts, facts.newest),
    ),
    told(
      'store-write',
      about,
      facts.creators,
      () => finding('store-write', about, 'ok', `An object was made in ${url}, and removed`),
      wordsFor(facts, facts.creators),
    ),
    told('store-condition', about, facts.creators, (count) => conditionFinding(about, count), {}, 'unseen'),
    told('store-clock', about, facts.aheadMs, (aheadMs) => clockFinding(about, aheadMs), {}, 'unseen'),
  ]
}

function wordsFor({ url, file }: StoreFacts, looked: Looked<unknown>): { readonly todo: string } {
  const help = looked.kind === 'failed' ? (HELP[looked.code] ?? UNREACHABLE) : UNREACHABLE
  return { todo: help.replace('{url}', url ?? '').replace('{file}', file) }
}

function newestFinding({ about, url }: StoreFacts, build: string, bytes: number | null): Finding {
  if (bytes !== null) return finding('store-read', about, 'ok', `The manifest of ${build} is in ${url}`)
  const todo = `conduct publish DIR --build ${build} puts back what is missing`
  return finding('store-read', about, 'wrong', `The manifest of ${build}, the newest build, is not in ${url}`, { todo })
}

function conditionFinding(about: string, creators: number): Finding {
  return creators === 1
    ? finding('store-condition', about, 'ok', 'Of two creators at once one was told that the object exists')
    : finding(
        'store-condition',
        about,
        'warning',
        `${creators} creators at once were told that they created the object`,
      )
}

function clockFinding(about: string, aheadMs: number): Finding {
  const apart = Math.abs(aheadMs)
  const outcome = apart > FAR_APART_MS ? 'wrong' : apart > APART_MS ? 'warning' : 'ok'
  return finding('store-clock', about, outcome, apartText('the store', aheadMs))
}

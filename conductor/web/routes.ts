// Owns what the daemon answers over HTTP: each path with its words for the docs, made by the same code as the verbs of the command line.

import { history } from '#conductor/cli/history.ts'
import { createReporter } from '#conductor/cli/reporter.ts'
import { status } from '#conductor/cli/verbs.ts'
import { why } from '#conductor/cli/why.ts'
import type { Bench } from '#conductor/cli/world.ts'
import type { View } from '#conductor/shell/view.ts'
import { isName } from '#fleet/build.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Handler, Reply } from './door.ts'
import type { EventStream } from './events.ts'
import type { Liveness } from './liveness.ts'

/** What Prometheus reads. */
export interface Exposition {
  readonly contentType: string
  metrics(): Promise<string>
}

export interface Site {
  /** Of which the ports answer from the view while it is fresh. */
  readonly bench: Bench
  readonly view: View
  readonly liveness: Liveness
  readonly metrics: Exposition
  readonly events: EventStream
}

/** Every path, with one sentence about it. docs/api.md holds the same list. */
export const PATHS = {
  '/healthz': 'the process is alive and its loops turn; else 503 with the reason',
  '/readyz': 'Consul answered lately and the view is fresh; else 503 with the reason',
  '/metrics': 'for Prometheus',
  '/api/v1/status': 'the document of `conduct status --json`',
  '/api/v1/history': 'the document of `conduct history --json`; `limit`, `build`, `by`, `ring`, `at`',
  '/api/v1/why': 'the document of `conduct why --json`; `node`, `slot`',
  '/api/v1/events': 'server-sent events: every entry of the history, every change of the status',
} as const

const HISTORY_MOST = 1_000

export function routesOf(site: Site): Readonly<Record<keyof typeof PATHS, Handler>> {
  const { bench, view, liveness, metrics, events } = site
  return {
    '/healthz': async () => {
      const { alive, reason, turnedMs } = liveness.look()
      return { code: alive ? 200 : 503, body: { alive, turnedMs, reason } }
    },
    '/readyz': async () => {
      const { fresh, ageMs, reason } = view.freshness()
      const { leads } = liveness
      return { code: fresh ? 200 : 503, body: { ready: fresh, ageMs: Math.round(ageMs), leads, reason } }
    },
    '/metrics': async () => ({ code: 200, body: await metrics.metrics(), type: metrics.contentType }),
    '/api/v1/status': () => documentOf(bench, (one) => status(one, { nodes: true })),
    '/api/v1/history': (query) => {
      const rings = query.getAll('ring')
      const named = rings.length === 0 ? bench : { ...bench, rings: rings.map(nameIn), ringsNamed: true }
      const options = {
        limit: countIn(query.get('limit') ?? '50'),
        atMs: timeIn(query.get('at')),
        build: query.get('build'),
        who: query.get('by'),
      }
      return documentOf(named, (one) => history(one, options))
    },
    '/api/v1/why': (query) =>
      documentOf(bench, (one) => why(one, { node: query.get('node'), slot: query.get('slot') })),
    '/api/v1/events': (_query, exchange) => events.open(exchange, bench.signal),
  }
}

/** The JSON of a reading verb: what `--json` prints. */
async function documentOf(bench: Bench, verb: (bench: Bench) => Promise<number>): Promise<Reply> {
  let body: unknown = null
  const nowhere = { write: () => true }
  const report = createReporter({ stdout: nowhere, stderr: nowhere }, {}, true)
  const document = (value: unknown): void => {
    body = value
  }
  await verb({ ...bench, report: { ...report, document } })
  return { code: 200, body }
}

function nameIn(text: string) {
  if (isName(text)) return text
  throw new FleetError('NAME_INVALID', `${JSON.stringify(text.slice(0, 100))} is not a name`)
}

function countIn(text: string): number {
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= HISTORY_MOST) return count
  throw new FleetError('USAGE', `limit is a whole number from 1 to ${HISTORY_MOST}`)
}

function timeIn(text: string | null): number | null {
  if (text === null) return null
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return at
  throw new FleetError('USAGE', 'at is a time like 2026-11-22T16:00:00Z')
}

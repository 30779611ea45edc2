// Owns `conduct pending`: what is published and not in production, how old it is, and what stands in its way.
import { type Pending, pendingBuilds } from '#conductor/core/pending.ts'
import { plain } from './reporter.ts'
import { whatRuns } from './running.ts'
import { ageOf, columns, counted } from './words.ts'
import type { Bench } from './world.ts'

export async function pending(bench: Bench, options: { readonly limit: number }): Promise<number> {
  const { app, report, clock, evidence } = bench
  const { builds, ring, last, where } = await whatRuns(bench)
  const all = pendingBuilds(builds, { ring, build: last?.build ?? null }, where)
  const now = clock.now()
  if (report.json) {
    const shown = all.slice(0, options.limit).map(({ entry, running, wasThere }) => {
      const { build, createdAt, by, commit, checks, quarantine } = entry
      const ageSeconds = Math.max(0, Math.round((now - Date.parse(createdAt)) / 1_000))
      return { build, createdAt, ageSeconds, by, commit, checks, quarantine, running, wasThere }
    })
    report.document({ app, ring, running: last?.build ?? null, pending: shown, total: all.length })
    return 0
  }
  const runs = last === null ? `nothing runs in ${ring} yet` : `${ring} runs ${last.build}`
  if (all.length === 0) {
    report.result(`Nothing is pending: ${runs}.`)
    return 0
  }
  report.result(`${counted(all.length, 'build')} pending; ${runs}.`)
  const rows = all.slice(0, options.limit).map((one) => rowOf(one, evidence.required, now))
  const [header = '', ...rest] = columns([['BUILD', 'AGE', 'COMMIT', 'BY', 'RUNS IN', 'CHECKS', 'NOTE'], ...rows])
  report.result(report.paint.dim(header))
  for (const line of rest) report.result(line)
  if (all.length > options.limit) report.result(`… and ${counted(all.length - options.limit, 'older build')}.`)
  return 0
}

function rowOf({ entry, running, wasThere }: Pending, required: readonly string[], now: number): readonly string[] {
  const { build, createdAt, commit, by, checks, quarantine } = entry
  const missing = required.filter((name) => checks[name] === undefined).map((name) => `${name} missing`)
  const said = [...Object.entries(checks).map(([name, state]) => `${name} ${state}`), ...missing].join(', ')
  const notes = [
    ...(quarantine === null ? [] : [`quarantined by ${quarantine.by}: ${quarantine.reason}`]),
    ...(wasThere ? ['was good there before'] : []),
  ]
  const cells = [build, ageOf(createdAt, now), commit?.slice(0, 12) ?? '-', by, running.join(', ') || '-', said || '-']
  return [...cells, notes.join('; ')].map(plain)
}

// Owns the files of the dashboards: `npm run docs` writes them, a test tells when one is stale.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dora } from './dora.ts'
import { fleet } from './fleet.ts'
import { node } from './node.ts'
import { rollout } from './rollout.ts'

const PAGES = { fleet, rollout, node, dora }

/** Each file's name and text. */
export function dashboardFiles(): Readonly<Record<string, string>> {
  const texts = Object.entries(PAGES).map(([name, page]) => [
    `dashboards/${name}.json`,
    `${JSON.stringify(page(), null, 2)}\n`,
  ])
  return Object.fromEntries(texts)
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(dashboardFiles()))
    writeFileSync(join(import.meta.dirname, '..', path), text)
}

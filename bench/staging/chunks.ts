// Owns casync and desync as they are measured against: one store of chunks in casync's form, which both read over HTTP.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Say } from '#bench/kit/rounds.ts'
import { run } from '#bench/kit/run.ts'
import type { Source, World } from './world.ts'

export interface Chunks {
  indexUrl(client: string, source: Source): string
  storeUrl(client: string): string
}

/** Chunks the sources, with casync's defaults. */
export async function makeChunks(world: World, casync: string, sources: readonly Source[], say: Say): Promise<Chunks> {
  const dir = join(world.dir, 'chunks')
  mkdirSync(dir, { recursive: true })
  for (const { build, dir: source } of sources) {
    say(`chunking ${build} with casync`)
    await run([casync, 'make', `--store=${join(dir, 'store.castr')}`, join(dir, `${build}.caidx`), source])
  }
  return {
    indexUrl: (client, { build }) => world.server.url(client, `chunks/${build}.caidx`),
    storeUrl: (client) => world.server.url(client, 'chunks/store.castr'),
  }
}

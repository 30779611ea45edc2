// Owns what the staging benches of one size share: three generations of a tree, published, and served to everyone from one place.
import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileStore } from '#adapters/file/store.ts'
import { memoryCatalog } from '#adapters/memory/catalog.ts'
import { memoryRecords } from '#adapters/memory/records.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import type { Say } from '#bench/kit/rounds.ts'
import { run } from '#bench/kit/run.ts'
import type { Scope } from '#bench/kit/scope.ts'
import { startServer, type WebServer } from '#bench/store/server.ts'
import { type Change, changeTree } from '#bench/trees/change.ts'
import { planTree, type Size, secondsOf, type Tree, writeTree } from '#bench/trees/make.ts'
import { publishBuild } from '#conductor/shell/publish.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import { objectsOf } from '#fleet/manifest.ts'
import type { BuildRef } from './stager.ts'

/** A build: its directory as it was published, and how it is named in orders. */
export interface Source extends BuildRef {
  readonly dir: string
  readonly tree: Tree
  readonly rawBytes: number
  readonly packedBytes: number
}

/**
 * Which deltas a node finds: `default` those that `conduct publish` writes by itself, from what the rings run when the build is published,
 * which is `now`; `told` those from `before` as well; `none` leaves ranges of the artifact.
 */
export type View = 'default' | 'told' | 'none'

export interface World {
  readonly size: Size
  readonly dir: string
  readonly server: WebServer
  /** N-1, N, and for each round an N+1 of its own. */
  readonly before: Source
  readonly now: Source
  readonly next: readonly (Source & { readonly change: Change })[]
  /** Where all objects lie, for restoring by hand. */
  readonly storeUrl: string
  /** A store's URL as one client sees it. */
  viewUrl(client: string, view: View): string
  artifactUrl(client: string, source: Source): string
  artifactFile(source: Source): string
}

/** Makes it: at 60,000 files some two minutes and 6 GB. @param seed of the first tree; the changes of each round have seeds of their own */
export async function makeWorld(scope: Scope, size: Size, rounds: number, seed: number, say: Say): Promise<World> {
  const dir = scope.directory(size.name)
  const sources = join(dir, 'sources')
  mkdirSync(sources)
  const publish = publisher(join(dir, 'store'))
  say(`making ${size.files.toLocaleString('en')} files, ${Math.round(size.bytes / 1e6)} MB`)
  const more = size.retyped === undefined ? {} : { retyped: size.retyped }
  const tree = planTree(size, seed)
  const first = { dir: join(sources, 'b0'), tree }
  mkdirSync(first.dir)
  writeTree(first.dir, tree, seed)
  sign(first.dir, 'b0', 0)
  const before = await publish('b0', first, [])
  const changed = await changeTree(before, join(sources, 'b1'), seed + 100, 1, more)
  sign(join(sources, 'b1'), 'b1', 1)
  const now = await publish('b1', { dir: join(sources, 'b1'), tree: changed.tree }, [before])
  const next: World['next'][number][] = []
  for (let round = 1; round <= rounds; round += 1) {
    say(`making and publishing what is staged in round ${round} of ${rounds}`)
    const name = `b2-${round}`
    const change = await changeTree(now, join(sources, name), seed + 1_000 * round, 2, more)
    sign(join(sources, name), name, 2)
    const published = await publish(name, { dir: join(sources, name), tree: change.tree }, [now, before])
    next.push({ ...published, change })
  }
  layViews(dir, [before, now, ...next], { now, before })
  await run(['sync', '-f', dir])
  const server = await startServer(scope, dir)
  return {
    size,
    dir,
    server,
    before,
    now,
    next,
    storeUrl: `file://${join(dir, 'store')}`,
    viewUrl: (client, view) => server.url(client, `views/${view}`),
    artifactUrl: (client, { build }) => server.url(client, `store/${objectsOf.artifact(build)}`),
    artifactFile: ({ build }) => join(dir, 'store', objectsOf.artifact(build)),
  }
}

/** A file that names the build, as an application needs it to say who it is; beyond what the change counts. */
function sign(dir: string, name: string, version: number): void {
  const at = join(dir, 'BUILD')
  // A new file: the one that is there belongs to the older build as well.
  rmSync(at, { force: true })
  writeFileSync(at, `${name}\n`)
  utimesSync(at, secondsOf(version), secondsOf(version))
}

function publisher(directory: string) {
  const app = 'web' as Name
  const catalog = memoryCatalog(memoryRecords(), { app })
  const ports = { store: fileStore(directory), catalog, clock: systemClock }
  const never = new AbortController().signal
  return async (name: string, { dir, tree }: Pick<Source, 'dir' | 'tree'>, running: readonly BuildRef[]) => {
    const request = { app, dir, build: name as BuildId, by: 'bench', running }
    const { build, manifest, rawBytes, bytes } = await publishBuild(ports, request, () => undefined, never)
    return { build, manifest, dir, tree, rawBytes, packedBytes: bytes } satisfies Source
  }
}

/** The same objects with more or fewer deltas beside them. */
function layViews(dir: string, builds: readonly BuildRef[], from: { now: BuildRef; before: BuildRef }): void {
  const deltas: Readonly<Record<View, readonly BuildRef[]>> = {
    default: [from.now],
    told: [from.now, from.before],
    none: [],
  }
  for (const [view, bases] of Object.entries(deltas)) {
    for (const { build } of builds) {
      const names = [
        objectsOf.artifact(build),
        objectsOf.manifest(build),
        ...bases.map((base) => objectsOf.delta(build, base.build)),
      ]
      for (const name of names) {
        const link = join(dir, 'views', view, name)
        mkdirSync(join(link, '..'), { recursive: true })
        // Where there is no such delta the link leads nowhere, which is a 404 like any other.
        symlinkSync(join(dir, 'store', name), link)
      }
    }
  }
}

// Owns the scene of the demo: Consul, store, nodes and builds set up, and `conduct` as a person would run it.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '#fleet/assert.ts'
import { type BuildId, buildIdFor, isBuildId, type Name } from '#fleet/build.ts'
import type { Catalog, Clock, StatusBoard, TargetFeed } from '#fleet/ports.ts'
import { type DemoBuild, writeBuild } from './builds.ts'
import { type Children, children, PROJECT } from './children.ts'
import { startConsul } from './consul.ts'
import { conductConfig, DEMO, type DemoNode, type Place, prepareNodes, startPullers } from './fleet.ts'
import { type Load, type Watched, watchKeys } from './observer.ts'
import { type Screen, screenOn, type Terminal } from './screen.ts'

type Env = Readonly<Record<string, string | undefined>>

export interface DemoWorld {
  readonly clock: Clock
  readonly env: Env
  /** Aborts when the person has seen enough. */
  readonly signal: AbortSignal
  readonly stdout: Terminal
  readonly stderr: Terminal
  /** Doors to the demo's own Consul, for looking only: the demo changes nothing but through `conduct`. */
  observe(consulUrl: string, app: Name, ring: Name): DemoPorts
}

export interface DemoPorts {
  readonly feed: TargetFeed
  readonly board: StatusBoard
  readonly catalog: Catalog
  close(): void
}

/** What a finished `conduct` said. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A build and where its tree lies. */
export interface StagedBuild extends DemoBuild {
  readonly id: BuildId
  readonly dir: string
  readonly files: number
}

export interface Scene extends AsyncDisposable {
  readonly world: DemoWorld
  readonly screen: Screen
  readonly place: Place
  readonly consul: string
  readonly nodes: readonly DemoNode[]
  readonly builds: readonly StagedBuild[]
  readonly running: Children
  readonly catalog: Catalog
  readonly watched: Watched
  readonly configFile: string
  load: Load | null
  conduct(...args: readonly string[]): Promise<Ran>
}

/** Sets everything up, with a Consul of its own, but the load and the pullers' first build. Disposing ends every process and removes every file. */
export async function setScene(world: DemoWorld, options: { nodes: number; embedded: boolean }): Promise<Scene> {
  const { clock, env } = world
  const dir = mkdtempSync(join(tmpdir(), 'hotcold-demo-'))
  const running = children(clock)
  const over = new AbortController()
  const cleanUp = async (): Promise<void> => {
    over.abort()
    await running.end()
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const consul = await startConsul(dir, running, world, options.embedded)
    const storeDir = join(dir, 'store')
    mkdirSync(storeDir)
    const place: Place = { dir, consulUrl: consul.url, storeDir }
    const configFile = join(dir, 'hotcold.yaml')
    writeFileSync(configFile, `${JSON.stringify(conductConfig(place), null, 2)}\n`)
    const ports = world.observe(consul.url, DEMO.app, DEMO.ring)
    over.signal.addEventListener('abort', () => ports.close())
    const conduct = (...args: readonly string[]): Promise<Ran> => runConduct([...args, '--config', configFile], world)
    const made = await conduct('init')
    if (made.code !== 0) throw new Error(`conduct init ended with ${made.code}: ${made.stderr.trim()}`)
    const nodes = await prepareNodes(options.nodes, place, running, env)
    startPullers(nodes, place, running, env)
    return {
      world,
      screen: screenOn(world.stderr),
      place,
      consul: consul.what,
      nodes,
      builds: writeBuilds(dir, new Date(clock.now())),
      running,
      catalog: ports.catalog,
      watched: watchKeys(ports.feed, ports.board, over.signal),
      configFile,
      load: null,
      conduct,
      [Symbol.asyncDispose]: cleanUp,
    }
  } catch (error) {
    await cleanUp()
    throw error
  }
}

function writeBuilds(dir: string, at: Date): readonly StagedBuild[] {
  return [1, 2, 3].map((ordinal) => {
    const id = buildIdFor(at, String(ordinal))
    assert(isBuildId(id), 'the demo gives its builds good ids')
    const build = { id, ordinal, broken: ordinal === 3 }
    const tree = join(dir, `build-${ordinal}`)
    mkdirSync(tree)
    return { ...build, dir: tree, files: writeBuild(tree, build) }
  })
}

/** Runs the launcher, as typed in a terminal: nothing here knows more than a person does. */
function runConduct(args: readonly string[], { env, signal }: DemoWorld): Promise<Ran> {
  const child = spawn(join(PROJECT, 'conductor/conduct'), args, { env: { ...env, NO_COLOR: '1' }, signal })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

// Owns the setting of fault stories: a fleet of one node with an application serving from its hot tree, watched from outside all the time.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type ConsulServer, startConsul } from './consul.ts'
import { type Fleet, type FleetNode, type FleetOptions, type Ran, startFleet } from './fleet.ts'
import { startServedApp } from './served-app.ts'
import { tmp } from './tmp.ts'
import { until } from './until.ts'

/** What a visitor of the application saw, from the first answer to now. */
export interface Seen {
  /** Builds in the order in which they first answered. */
  readonly builds: readonly string[]
  readonly answers: number
  readonly failures: readonly string[]
}

export interface Story {
  readonly consul: ConsulServer
  readonly fleet: Fleet
  readonly node: FleetNode
  readonly store: string
  /** Publishes a small build whose files say its name. `change` may alter its source directory first. */
  publish(build: string, change?: (dir: string) => void): Promise<void>
  /** Publishes and releases the first build and starts the application and its visitor on it. */
  begin(build: string): Promise<void>
  release(build: string, ...more: readonly string[]): Promise<Ran>
  /** Waits until the node's status tells of `code`, as a trouble or as its refusal; the sentence. */
  told(code: string): Promise<string>
  seen(): Seen
  /** Waits until the application answers with this build. */
  served(build: string): Promise<void>
}

interface StatusRecord {
  readonly troubles?: readonly { code: string; message: string }[]
  readonly refusal?: { code: string; message: string } | null
}

/** A visitor who asks for a page every 20 ms and notes what it got. */
function visit(t: TestContext, page: () => Promise<{ build: string; a: string; b: string }>): () => Seen {
  const builds: string[] = []
  const failures: string[] = []
  let answers = 0
  const stop = new AbortController()
  const visits = (async () => {
    while (!stop.signal.aborted) {
      try {
        const got = await page()
        answers += 1
        if (!builds.includes(got.build)) builds.push(got.build)
        if (got.a !== `a of ${got.build}` || got.b !== `b of ${got.build}`)
          failures.push(`mixed: ${JSON.stringify(got)}`)
      } catch (error) {
        if (!stop.signal.aborted) failures.push(String(error))
      }
      await delay(20)
    }
  })()
  t.after(async () => {
    stop.abort()
    await visits
  })
  return () => ({ builds: [...builds], answers, failures: [...failures] })
}

/** Starts the setting; `options` may give another store, other puller keys or another root. */
export async function startStory(
  t: TestContext,
  options: Partial<FleetOptions> & { readonly onConsul?: ConsulServer } = {},
): Promise<Story> {
  const consul = options.onConsul ?? (await startConsul(t))
  const store = await tmp(t, 'store')
  const pidFile = join(await tmp(t, 'app'), 'pid')
  const reload = ['sh', '-c', `test ! -f ${pidFile} || kill -HUP "$(cat ${pidFile})"`]
  const fleet = await startFleet(t, {
    consulUrl: consul.url,
    store: { url: `file://${store}` },
    nodes: 1,
    ...options,
    puller: (node) => ({ hooks: { afterSwap: reload }, ...options.puller?.(node) }),
  })
  const [node] = fleet.nodes
  if (node === undefined) throw new Error('a story has one node')
  let seen: () => Seen = () => ({ builds: [], answers: 0, failures: [] })

  const story: Story = {
    consul,
    fleet,
    node,
    store,
    publish: async (build, change) => {
      const dir = join(fleet.dir, `source-${build}`)
      rmSync(dir, { recursive: true, force: true })
      mkdirSync(join(dir, 'lib'), { recursive: true })
      const files = {
        'build.txt': build,
        'a.txt': `a of ${build}`,
        'b.txt': `b of ${build}`,
        'lib/same.txt': 'the same in every build',
      }
      for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)
      change?.(dir)
      const said = await fleet.conduct('publish', dir, '--build', build)
      if (said.code !== 0) throw new Error(`conduct publish: ${said.stderr}`)
    },
    begin: async (build) => {
      await story.publish(build)
      const said = await story.release(build)
      if (said.code !== 0) throw new Error(`conduct release: ${said.stderr}${await node.log()}`)
      const app = await startServedApp(t, { root: node.root })
      writeFileSync(pidFile, String(app.pid))
      seen = visit(t, () => app.page())
      await until('the visitor has a first answer', () => seen().answers > 0)
    },
    release: (build, ...more) =>
      fleet.conduct('release', build, '--reason', 'a fault story', '--timeout', '180s', ...more),
    told: (code) =>
      until(`the status tells of ${code}`, async () => {
        const raw = await consul.kv.get(`hotcold/v1/web/production/nodes/${node.name}`)
        const status = JSON.parse(raw ?? '{}') as StatusRecord
        const all = [...(status.troubles ?? []), ...(status.refusal ? [status.refusal] : [])]
        return all.find((one) => one.code === code)?.message ?? null
      }),
    seen: () => seen(),
    served: (build) => until(`${build} is served`, () => seen().builds.includes(build)).then(() => undefined),
  }
  return story
}

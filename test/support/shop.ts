// Owns a small fleet with a real store and a config file of its own: builds are published from directories that a test changes.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileStore } from '#adapters/file/store.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { type Conducting, conducting, type Running, run, type Said } from './conducting.ts'
import { startConsul } from './consul.ts'
import { tmp } from './tmp.ts'
import { until } from './until.ts'

export interface Shop {
  readonly fleet: Conducting
  readonly store: BuildStore
  /** The source: what is published is what lies there. */
  readonly dir: string
  /** Where commands of the config run. */
  readonly cwd: string
  /** Puts files into the source; null removes one. */
  put(files: Readonly<Record<string, string | null>>): Promise<void>
  /** Writes the config file that every command reads; `yaml` comes after app, consul, store and rings. */
  configure(yaml: string): Promise<void>
  conduct(...argv: readonly string[]): Promise<Said>
  start(...argv: readonly string[]): Running
  /** Publishes the source. @throws when that fails */
  publish(build: string, ...argv: readonly string[]): Promise<void>
}

export async function startShop(
  t: TestContext,
  options: { readonly rings?: readonly string[]; readonly nodes?: number } = {},
): Promise<Shop> {
  const { rings = ['staging', 'production'], nodes = 2 } = options
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes, rings })
  const [dir, cwd, stored] = [await tmp(t, 'source'), await tmp(t, 'shop'), await tmp(t, 'store')]
  const start = (...argv: readonly string[]): Running => run(argv, {}, cwd)
  const shop: Shop = {
    fleet,
    store: fileStore(stored),
    dir,
    cwd,
    async put(files) {
      for (const [name, text] of Object.entries(files)) {
        const path = join(dir, name)
        await mkdir(dirname(path), { recursive: true })
        await (text === null ? rm(path) : writeFile(path, text))
      }
    },
    configure: (yaml) =>
      writeFile(
        join(cwd, 'hotcold.yaml'),
        `app: web\nconsul: { url: "${url}" }\nstore: { url: "file://${stored}" }\nrings: [${rings.join(', ')}]\n${yaml}`,
      ),
    start,
    conduct: (...argv) => start(...argv).end,
    async publish(build, ...argv) {
      const said = await shop.conduct('publish', dir, '--build', build, ...argv)
      if (said.code !== 0) throw new Error(`conduct publish: ${said.stderr}`)
    },
  }
  await shop.configure('')
  await until('the nodes report', async () => {
    const { stdout } = await shop.conduct('status', '--json')
    const status = JSON.parse(stdout) as { rings: readonly { counts: { total: number; silent: number } }[] }
    return status.rings.every(({ counts }) => counts.total === nodes && counts.silent === 0)
  })
  return shop
}

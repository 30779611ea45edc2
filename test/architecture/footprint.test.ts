// Owns what a puller carries while it waits: every module it loads is memory on every node, for as long as the node lives.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { PROJECT, production, readText } from '#test/support/source.ts'

const run = promisify(execFile)

/** Packages that the whole way from `puller run` to a waiting node may load, whatever stands in the config but `store: s3://…` and `drain: leases`. */
const CARRIED = [
  '@pinojs/redact',
  'atomic-sleep',
  'consul',
  'on-exit-leak-free',
  'papi',
  'pino',
  'pino-std-serializers',
  'prom-client',
  'quick-format-unescaped',
  'safe-stable-stringify',
  'sonic-boom',
  'thread-stream',
  'valibot',
  'yaml',
]
/** Parts of Node that cost megabytes, and that nothing of ours needs. */
const COSTLY = ['undici', 'http2', 'v8', 'cluster', 'perf_hooks']

interface Loaded {
  readonly packages: readonly string[]
  readonly parts: readonly string[]
}

/** What a process has loaded after importing a module: names of packages, and which costly parts of Node. */
async function loadedBy(module: string): Promise<Loaded> {
  const script = `
    import { registerHooks } from 'node:module'
    const urls = []
    registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
    await import(${JSON.stringify(new URL(module, `file://${PROJECT}`).href)})
    console.log(JSON.stringify({ urls, parts: process.moduleLoadList }))
    process.exit(0)`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: PROJECT })
  const { urls, parts } = JSON.parse(stdout) as { urls: readonly string[]; parts: readonly string[] }
  const packages = urls.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? [])
  return {
    packages: [...new Set(packages)].toSorted(),
    parts: COSTLY.filter((part) => parts.some((name) => new RegExp(`^NativeModule (.*/)?${part}$`).test(name))),
  }
}

test('a puller loads no package but those it needs while it waits: neither S3 nor a folder watcher nor tar', async () => {
  const { packages } = await loadedBy('puller/main.ts')
  assert.deepEqual(
    packages.filter((name) => !CARRIED.includes(name)),
    [],
  )
  assert.ok(packages.includes('consul') && packages.includes('yaml'), 'modules were seen')
})

test('a puller does not load the costly parts of Node', async () => {
  assert.deepEqual((await loadedBy('puller/main.ts')).parts, [])
})

test('an import of node:http would be noticed', async () => {
  const { parts } = await loadedBy('adapters/consul/agent/agent.ts')
  assert.ok(parts.includes('undici'), parts.join())
})

test('what only some nodes need is imported where it is needed', () => {
  assert.match(readText('adapters/store.ts'), /await import\('\.\/s3\/store\.ts'\)/)
  assert.match(readText('adapters/runtime/watch.ts'), /await import\('chokidar'\)/)
  const held = production().filter(({ path, imports }) => {
    const ours = /^(puller|fleet|adapters\/(consul|runtime|http|file)\/[^/]*\.ts$)/.test(path)
    return ours && imports.some(({ from, typeOnly }) => from === 'node:http' && !typeOnly)
  })
  assert.deepEqual(
    held.map(({ path }) => path),
    [],
  )
})

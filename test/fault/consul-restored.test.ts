// Owns what happens when a real Consul is restored from a snapshot under real pullers: in the middle of a rollout, and after a whole one.
import assert from 'node:assert/strict'
import { lstat, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { run } from '#test/support/conducting.ts'
import { type ConsulServer, startConsul } from '#test/support/consul.ts'
import { type Fleet, startFleet } from '#test/support/fleet.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

const NODES = 4
/** What `status --json` says besides, as far as this reads it. */
interface Seen {
  readonly rings: readonly {
    readonly target: { readonly generation: number; readonly build: string | null; readonly cutoff: number } | null
    readonly trouble: { readonly code: string; readonly message: string } | null
    readonly nodes: readonly {
      readonly hot: string | null
      readonly generation: number
      readonly troubles: readonly { readonly code: string; readonly message: string }[]
    }[]
  }[]
  readonly rollout: { readonly phase: string; readonly stage: { readonly share: number } } | null
}

interface Scene {
  readonly consul: ConsulServer
  readonly fleet: Fleet
  readonly snapshot: string
  seen(): Promise<Seen['rings'][number] & Pick<Seen, 'rollout'>>
  /** Which build each node has hot, and the link itself: another one after every swap. */
  links(): Promise<readonly string[]>
}

/** Four pullers on build-a, with three more builds published. */
async function begin(t: TestContext, plan: readonly object[]): Promise<Scene> {
  const consul = await startConsul(t)
  const dir = await tmp(t, 'restored')
  const store = { url: `file://${join(dir, 'store')}` }
  await mkdir(join(dir, 'store'))
  const fleet = await startFleet(t, {
    consulUrl: consul.url,
    store,
    nodes: NODES,
    conductor: { plan, maxUnavailable: '100%' },
    puller: () => ({ rearm: { delaySeconds: 0, spreadSeconds: 0 } }),
  })
  for (const build of ['build-a', 'build-b', 'build-c', 'build-d']) {
    const source = join(dir, build)
    await mkdir(source)
    await writeFile(join(source, 'BUILD'), build)
    await succeed(fleet, 'publish', source, '--build', build)
  }
  const seen = async () => {
    const { stdout } = await run(['status', '--json'], { HOTCOLD_CONFIG: fleet.configFile }).end
    const { rings, rollout } = JSON.parse(stdout) as Seen
    const [ring] = rings
    assert.ok(ring)
    return { ...ring, rollout }
  }
  const links = () =>
    Promise.all(
      fleet.nodes.map(async ({ root, hot }) => {
        const { ino, ctimeMs } = await lstat(join(root, 'hot'))
        return `${await hot()} ${ino} ${ctimeMs}`
      }),
    )
  return { consul, fleet, snapshot: join(dir, 'snapshot'), seen, links }
}

async function succeed(fleet: Fleet, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(argv, { HOTCOLD_CONFIG: fleet.configFile }).end
  assert.equal(code, 0, `${argv.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

const highest = (nodes: Seen['rings'][number]['nodes']) => Math.max(...nodes.map(({ generation }) => generation))
const on = (links: readonly string[], build: string) => links.filter((link) => link.startsWith(`${build} `)).length

test('A4 M12: `consul snapshot restore` in the middle of a rollout: no node swaps, its driver says why it writes again, above every node, and no stage is skipped', async (t) => {
  const approval = 'manual'
  const { consul, fleet, snapshot, seen, links } = await begin(t, [
    { ring: 'production', shares: [25], approval },
    { ring: 'production', shares: [50], approval },
    { ring: 'production', shares: [100] },
  ])
  const first = fleet.conduct('release', 'build-a')
  const waitsAt = (share: number) =>
    until(`it waits for approval at ${share} %`, async () => {
      const now = await seen()
      return now.rollout?.phase === 'waiting' && now.rollout.stage.share === share ? now : null
    })
  for (const share of [25, 50]) {
    await waitsAt(share)
    await succeed(fleet, 'promote')
  }
  assert.equal((await first).code, 0)

  const running = fleet.conduct('release', 'build-b')
  await waitsAt(25)
  await consul.cli('snapshot', 'save', snapshot)
  await succeed(fleet, 'promote')
  await waitsAt(50)
  const before = await seen()
  const stood = await links()
  assert.equal(on(stood, 'build-b'), 2)
  await consul.cli('snapshot', 'restore', snapshot)

  const after = await until('the order is written again, above every node, and all have accepted it', async () => {
    const now = await seen()
    const generation = now.target?.generation ?? 0
    return generation > highest(before.nodes) && now.nodes.every((node) => node.generation === generation) ? now : null
  })
  assert.deepEqual(await links(), stood, 'nobody swapped')
  assert.equal(after.target?.cutoff, before.target?.cutoff, 'whoever was brought to the build stays on it')
  assert.equal(after.rollout?.stage.share, 25, 'the stage that Consul remembers is approved anew')
  const log = await Promise.all(fleet.nodes.map((node) => node.log()))
  assert.ok(
    log.some((text) => text.includes('TARGET_REGRESSED')),
    'a node met the old record and said so',
  )
  for (const share of [25, 50]) {
    await waitsAt(share)
    assert.deepEqual(await links(), stood)
    await succeed(fleet, 'promote')
  }
  const said = await running
  assert.equal(said.code, 0, said.stdout + said.stderr)
  assert.match(said.stderr, /nodes obey another order than generation \d+, which the key shows/)
  assert.equal(on(await links(), 'build-b'), NODES)
  const moved = stood.filter((link) => link.startsWith('build-b '))
  const end = await links()
  assert.ok(
    moved.every((link) => end.includes(link)),
    'whoever had the build already did not move again',
  )
  assert.match(await succeed(fleet, 'audit', 'verify'), /./)
})

test('A4 M12: Consul is restored to before a whole release: no node swaps, status, why and each node say so, and the next order is above them all', async (t) => {
  const { consul, fleet, snapshot, seen, links } = await begin(t, [{ ring: 'production' }])
  await succeed(fleet, 'release', 'build-a')
  await succeed(fleet, 'release', 'build-b')
  await consul.cli('snapshot', 'save', snapshot)
  await succeed(fleet, 'release', 'build-c')
  const stood = await links()
  const accepted = highest((await seen()).nodes)
  await consul.cli('snapshot', 'restore', snapshot)

  const told = await until('every node says that the key is older than what it accepted', async () => {
    const now = await seen()
    const all = now.nodes.every(({ troubles }) => troubles.some(({ code }) => code === 'TARGET_REGRESSED'))
    return all && now.nodes.every(({ generation }) => generation === accepted) ? now : null
  })
  assert.deepEqual(await links(), stood, 'nobody swapped')
  assert.equal(told.target?.build, 'build-b')
  assert.equal(told.trouble?.code, 'TARGET_REGRESSED')
  const why = await fleet.conduct('why')
  assert.match(why.stdout, /ring-key-older/)
  const refused = await fleet.conduct('release', 'build-d')
  assert.equal(refused.code, 3, refused.stdout + refused.stderr)
  assert.match(refused.stderr, /below what nodes accepted already.*\n.*conduct release --adopt/)

  await succeed(fleet, 'release', 'build-d', '--adopt')
  const next = await seen()
  assert.ok((next.target?.generation ?? 0) > accepted)
  assert.equal(on(await links(), 'build-d'), NODES)
  const { history } = JSON.parse(await succeed(fleet, 'history', '--json', '--limit', '20')) as {
    history: { event: string; facts: Record<string, unknown> }[]
  }
  const written = history.filter(({ event, facts }) => event === 'ordered' && facts.build === 'build-d')
  assert.ok(written.length > 0 && written.every(({ facts }) => facts.fallback === 'build-c'))
  assert.ok(written.every(({ facts }) => Number(facts.generation) > accepted))
})

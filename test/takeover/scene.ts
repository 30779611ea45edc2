// Owns one take-over: the release that is ended or frozen at a point of its way, the one that goes on, and what both left in Consul.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freeze, end as kill, mortal } from '#test/support/child.ts'
import type { Conducting } from '#test/support/conducting.ts'
import { A, APP, B } from '#test/support/rollout-sim.ts'
import { RINGS, threeRings } from '#test/support/three-rings.ts'
import { type Door, type Seized, startDoor } from '#test/support/txn-door.ts'
import { until } from '#test/support/until.ts'
import { journeyOf, type Point, SOAK_SECONDS, type Way } from './points.ts'
import { type Witness, watch } from './watcher.ts'

const CONDUCT = join(import.meta.dirname, '../../conductor/conduct')
const SOAKS = { soakSeconds: SOAK_SECONDS }
const PLAN = [
  { ring: 'staging', smoke: ['sh', './smoke.sh'], ...SOAKS },
  { ring: 'canary', ...SOAKS },
  { ring: 'production', shares: [25, 50, 100], ...SOAKS },
]

export interface Scene {
  readonly fleet: Conducting
  readonly url: string
  readonly witness: Witness
}

/** Three rings of four nodes on A; B is published, and good or not by its smoke test. */
export async function begin(t: TestContext, way: Way): Promise<Scene> {
  const { fleet, url } = await threeRings(t, { plan: PLAN, smoke: way === 'good' ? 'exit 0\n' : 'exit 7\n' })
  return { fleet, url, witness: await watch(t, url, RINGS) }
}

interface Process {
  readonly child: ChildProcess
  /** All that it said so far. */
  said(): string
  readonly end: Promise<number | null>
}

/** A `conduct` in a process of its own that knows Consul only through the door. */
function conduct(t: TestContext, { fleet }: Scene, door: Door, by: string, words: readonly string[]): Process {
  const argv = [...words, '--app', APP, '--consul', door.url, '--by', by]
  const env = { ...process.env, NO_COLOR: '1', HOTCOLD_CONFIG: join(fleet.dir, 'hotcold.yaml') }
  const child = spawn(...mortal(CONDUCT, ...argv), { env, cwd: fleet.dir, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => kill(child, 'SIGKILL'))
  let text = ''
  const hear = (chunk: Buffer) => {
    text += chunk
  }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', hear)
  const end = new Promise<number | null>((resolve) => child.on('close', resolve))
  return { child, said: () => text, end }
}

/** Waits for the point and ends or freezes the process there; what the door holds of it, null in a soak. */
async function strike(point: Point, old: Process, door: Door, { witness }: Scene): Promise<Seized | null> {
  const held = point.moment === 'in soak' ? null : door.seize(point.at, point.moment)
  const reached = async () => {
    if (held !== null) return held
    await until(`it soaks after ${point.at}`, () => witness.labels.includes(point.at))
    return null
  }
  const early = old.end.then((code) => assert.fail(`it ended (${code}) before ${point.at}: ${old.said()}`))
  const seized = await Promise.race([reached(), early])
  if (point.fate === 'killed') await kill(old.child, 'SIGKILL')
  else await freeze(old.child)
  early.catch(() => undefined)
  return seized
}

/** Plays one point from beginning to end and asserts all that must hold. */
export async function play(t: TestContext, point: Point): Promise<void> {
  const scene = await begin(t, point.way)
  const { url, fleet } = scene
  const [first, second] = [await startDoor(t, url), await startDoor(t, url)]
  const swapsBefore = fleet.nodes.map(({ swaps }) => swaps)

  const old = conduct(t, scene, first, 'ana', ['release', B])
  const seized = await strike(point, old, first, scene)
  const before = first.taken.length
  const next = conduct(t, scene, second, 'ben', wordsOf(point))
  const over = await Promise.race([next.end, until('it goes on', () => second.taken.length > 0).then(() => null)])
  // From here on the first one is back, beside the second: what was under way of it arrives, and it goes on where it stood.
  if (point.fate === 'frozen') old.child.kill('SIGCONT')
  const status = (await seized?.pass()) ?? null
  if (point.moment === 'before send') assert.equal(status, 409, 'what arrives late is refused')

  const code = over ?? (await next.end)
  if (over === null) assert.equal(code, isBack(point) || point.way === 'good' ? 0 : 1, next.said())
  const oldCode = await old.end
  assert.deepEqual(first.taken.slice(before), [], 'the one before writes nothing any more')
  if (point.fate === 'frozen' && over === null) {
    assert.notEqual(oldCode, 0, old.said())
    assert.match(old.said(), /lease/)
  }
  await proved(scene, point.way)
  const swaps = fleet.nodes.map((node, i) => node.swaps - (swapsBefore[i] ?? 0))
  assert.deepEqual(swaps, swapsOf(point.way), 'each node swaps once per order that is about it')
}

/** Whether the rollout is on its way back already: then no release goes on with it, a rollback does. */
function isBack({ way, at, moment }: Point): boolean {
  return way === 'bad' && !(at === 'rollback-begun' && moment === 'before send')
}

function wordsOf(point: Point): readonly string[] {
  if (isBack(point)) return ['rollback', '--reason', 'ana is not there']
  return ['release', B, ...(point.by === 'take-over' ? ['--take-over', '--reason', 'ana is not there'] : [])]
}

function swapsOf(way: Way): readonly number[] {
  return way === 'good' ? Array<number>(12).fill(1) : [2, 2, 2, 2, ...Array<number>(8).fill(0)]
}

const ASIDE = ['taken-over', 'handed-over']

/** What a stranger saw is one whole rollout: no stage skipped, none repeated, every order in the history. */
export async function proved({ witness, fleet }: Scene, way: Way): Promise<void> {
  const journey = journeyOf(way)
  await until('the end is seen', () => witness.labels.some((label) => label.startsWith('ended')))
  const audit = await fleet.conduct('audit', 'verify')
  assert.equal(audit.code, 0, audit.stdout + audit.stderr)
  assert.deepEqual(
    witness.labels.filter((label) => !ASIDE.includes(label)),
    journey,
  )
  const ids = new Set(witness.stages.map((seen) => seen.split(' ')[0]))
  assert.equal(ids.size, 1, 'one rollout')
  const stages = witness.stages.map((seen) => Number(seen.split(' ')[1]))
  assert.deepEqual(stages, way === 'good' ? [0, 1, 2, 3, 4] : [0])
  for (const ring of RINGS) ordersAreTold(witness, ring)
  const { builds } = JSON.parse((await fleet.conduct('builds', '--json')).stdout) as {
    builds: { build: string; good: Record<string, string>; quarantine: object | null }[]
  }
  const entry = builds.find(({ build }) => build === B)
  assert.deepEqual(Object.keys(entry?.good ?? {}).toSorted(), way === 'good' ? RINGS.toSorted() : [])
  assert.equal(entry?.quarantine !== null, way === 'bad', 'a build that failed, and only that, is under quarantine')
  assert.ok(fleet.nodes.every(({ hot }) => hot === (way === 'good' ? B : A)))
}

/** The orders of a ring carry the generations of the history, one by one, and nothing else was seen there. */
function ordersAreTold({ events, orders }: Witness, ring: string): void {
  const told = events.filter(({ event, facts }) => event === 'ordered' && facts.ring === ring).map(({ facts }) => facts)
  const [stood, ...seen] = orders[ring] ?? []
  assert.ok(stood)
  const numbers = told.map(({ generation }) => Number(generation))
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => stood.generation + 1 + i),
    `each order of ${ring} has the next generation`,
  )
  for (const { generation, build, cutoff } of seen) {
    const fact = told.find((each) => each.generation === generation)
    assert.deepEqual(
      { build, cutoff },
      { build: fact?.build, cutoff: fact?.cutoff },
      `generation ${generation} of ${ring}`,
    )
  }
  assert.equal(seen.at(-1)?.generation, numbers.at(-1) ?? seen.at(-1)?.generation)
}

// Owns `conduct demo`: the story of one fleet, told while it happens and judged from outside.
import { join } from 'node:path'
import { gather, install, keyBuild, publish, rearm, release, releaseBroken, rollBack } from '#conductor/demo/acts.ts'
import { PROJECT } from '#conductor/demo/children.ts'
import { REQUESTS_PER_SECOND, startLoad } from '#conductor/demo/observer.ts'
import { type DemoWorld, type Scene, setScene } from '#conductor/demo/scene.ts'
import { broken, type Findings } from '#conductor/demo/score.ts'
import { answersLine, finalTable, liveLines } from '#conductor/demo/view.ts'
import { formatDuration } from '#fleet/duration.ts'
import { describeError } from '#fleet/errors.ts'

const DRAW_MS = 200
/** Elsewhere than on a terminal, a line about the traffic this often. */
const TELL_MS = 4_000

export interface DemoOptions {
  /** Leave everything running at the end. */
  readonly keep: boolean
  /** Take the embedded agent even where a `consul` binary is found. */
  readonly embedded?: boolean
  /** How many nodes; 8 unless told. */
  readonly nodes?: number
}

const NODES = 8

/**
 * Runs the demo: three builds, two releases under load, a broken one, a rollback with the store switched off.
 * Exit code 0 when every promise was kept, 1 when one was not.
 */
export async function demo(options: DemoOptions, world: DemoWorld): Promise<number> {
  const began = world.clock.monotonic()
  world.stderr.write('Setting up: Consul, a store, nodes …\n')
  try {
    await using scene = await setScene(world, { nodes: options.nodes ?? NODES, embedded: options.embedded === true })
    const code = await withLiveView(scene, async () => {
      const findings = await tell(scene)
      scene.screen.clear()
      return conclude(scene, findings, world.clock.monotonic() - began)
    })
    if (options.keep) await linger(scene)
    return code
  } catch (error) {
    world.stderr.write(`The demo did not get to its end: ${describeError(error)}\n`)
    return 1
  }
}

async function tell(scene: Scene): Promise<Findings> {
  const { screen, world, nodes } = scene
  const [one, two, three] = scene.builds
  if (one === undefined || two === undefined || three === undefined) throw new Error('the demo has three builds')
  screen.say(`Consul: ${scene.consul}.`)
  screen.say(`${nodes.length} nodes, each a puller and a web app of its own, below ${scene.place.dir}.`)
  await publish(scene, one)
  await gather(scene)
  const first = await install(scene, one)

  scene.load = await startLoad(nodes, scene.place.dir, scene.running, world)
  screen.say(`From here on every node is asked for a page ${REQUESTS_PER_SECOND} times a second.`)
  await publish(scene, two)
  const second = await release(scene, two)
  await publish(scene, three)
  const third = await releaseBroken(scene, three, two)
  const reverted = [...scene.watched.refusals].filter(([, build]) => build === three.id).map(([node]) => node)
  screen.say(`Reverted by themselves: ${reverted.toSorted().join(', ') || 'none'}.`)
  const rearmed = await rearm(scene, one)
  const back = await rollBack(scene, one)
  const totals = await scene.load.finish()
  return {
    totals,
    acts: [first.act, second.act, third.act, rearmed, back.act],
    reverted: reverted.toSorted(),
    rollback: { fetchedBytes: back.act.fetchedBytes, keyBuild: keyBuild(scene), previous: one.id },
    surprises: [first, second, third, back].flatMap(({ surprises }) => surprises),
  }
}

/** Draws the nodes while `work` goes on. */
async function withLiveView<result>(scene: Scene, work: () => Promise<result>): Promise<result> {
  const { world, screen } = scene
  const stop = new AbortController()
  const draw = async (): Promise<void> => {
    for (let told = world.clock.monotonic(); !stop.signal.aborted; await world.clock.sleep(DRAW_MS, stop.signal)) {
      const load = scene.load?.report() ?? null
      const phases = new Map(scene.watched.roster.map(({ status }) => [status.node as string, status.phase as string]))
      const lines = scene.nodes.map(({ name }) => ({ name, phase: phases.get(name) ?? 'starting' }))
      screen.draw(liveLines(lines, load, REQUESTS_PER_SECOND))
      if (world.stderr.isTTY === true || load === null || world.clock.monotonic() - told < TELL_MS) continue
      told = world.clock.monotonic()
      screen.say(`  … ${answersLine(load)}`)
    }
  }
  const drawing = draw().catch(() => {})
  try {
    return await work()
  } finally {
    stop.abort()
    await drawing
    screen.clear()
  }
}

function conclude(scene: Scene, findings: Findings, tookMs: number): number {
  const { stdout } = scene.world
  const names = scene.nodes.map(({ name }) => name)
  stdout.write(`\n${finalTable(findings, names, scene.load?.sightings ?? []).join('\n')}\n\n`)
  const said = broken(findings)
  for (const sentence of said) stdout.write(`✗ ${sentence}\n`)
  if (said.length === 0) {
    stdout.write(
      '✓ no request failed, no answer mixed two builds, the rollback fetched nothing, the key names the previous build\n',
    )
  }
  stdout.write(`The demo took ${formatDuration(tookMs)}.\n`)
  return said.length === 0 ? 0 : 1
}

/** Leaves everything running, under traffic, for a second terminal. */
async function linger(scene: Scene): Promise<void> {
  const { world, nodes, place, running } = scene
  const { stdout, signal } = world
  scene.load = await startLoad(nodes, place.dir, running, world)
  const [, two] = scene.builds
  const conduct = join(PROJECT, 'conductor/conduct')
  stdout.write(
    [
      '',
      'Everything goes on running until Ctrl-C. In another terminal:',
      `  export HOTCOLD_CONFIG=${scene.configFile}`,
      `  ${conduct} status`,
      `  ${conduct} watch`,
      `  ${conduct} release ${two?.id ?? ''}`,
      `  ${conduct} rollback`,
      `  ${conduct} history`,
      `  curl -i ${scene.nodes[0]?.appUrl}/          # the page of node-1`,
      `  curl -s ${scene.nodes[0]?.metricsUrl}/metrics | grep ^puller_`,
      `  ${join(PROJECT, 'puller/puller')} status --config ${scene.nodes[0]?.configFile}`,
      '',
    ].join('\n'),
  )
  const asked = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve())
  })
  await withLiveView(scene, () => asked)
}

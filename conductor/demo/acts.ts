// Owns the acts of the demo: what is typed, what must follow from it, and what is measured meanwhile.
import { renameSync } from 'node:fs'
import { formatBytes, formatDuration } from '#fleet/duration.ts'
import { fetchedBytes, waitFor } from './fleet.ts'
import type { Ran, Scene, StagedBuild } from './scene.ts'
import { type Act, arrivalOf } from './score.ts'
import { shortBuild } from './view.ts'

const WAIT_MS = 30_000

/** One act and whatever did not go as it should, in sentences. */
export interface Played {
  readonly act: Act
  readonly surprises: readonly string[]
}

export async function publish(scene: Scene, build: StagedBuild): Promise<void> {
  const began = scene.world.clock.monotonic()
  const ran = await scene.conduct('publish', build.dir, '--build', build.id)
  if (ran.code !== 0) throw new Error(`conduct publish ended with ${ran.code}: ${ran.stderr.trim()}`)
  const bytes = formatBytes(await artifactBytes(scene, build))
  const took = formatDuration(scene.world.clock.monotonic() - began)
  scene.screen.say(`Published ${shortBuild(build.id)}: ${build.files} files, ${bytes} packed, in ${took}.`)
}

async function artifactBytes(scene: Scene, build: StagedBuild): Promise<number> {
  const found = await scene.catalog.find(build.id, scene.world.signal)
  return found?.entry.artifact.bytes ?? 0
}

/** Runs a verb and measures from outside what it brought about. */
async function measure(scene: Scene, title: string, build: StagedBuild, args: readonly string[]) {
  const { nodes, watched, screen } = scene
  const bytesBefore = await fetchedBytes(nodes)
  const keysBefore = watched.keys.length
  screen.say(`$ conduct ${args.join(' ')}`)
  const ran = await scene.conduct(...args)
  for (const line of ran.stdout.trim().split('\n')) screen.say(`  ${line}`)
  // The first write of the act: a release stages before it swaps, a rollback may go back in waves before it names the build.
  const written = watched.keys[keysBefore]
  const act: Act = {
    title,
    build: build.id,
    writtenAtMs: written === undefined ? null : Date.parse(written.at),
    fetchedBytes: (await fetchedBytes(nodes)) - bytesBefore,
    artifactBytes: await artifactBytes(scene, build),
  }
  return { act, ran }
}

function complaint(ran: Ran, expected: number, what: string): readonly string[] {
  return ran.code === expected ? [] : [`${what} ended with ${ran.code}: ${ran.stderr.trim().split('\n').at(-1) ?? ''}`]
}

/** What the nodes say of themselves serves the pauses of the story only, never the verdict. */
function everyNode(scene: Scene, holds: (status: Scene['watched']['roster'][number]['status']) => boolean): boolean {
  const { roster } = scene.watched
  return roster.length === scene.nodes.length && roster.every(({ status }) => holds(status))
}

export async function gather(scene: Scene): Promise<void> {
  const { clock, signal } = scene.world
  await waitFor('every puller to report', clock, signal, WAIT_MS, () => everyNode(scene, () => true))
}

export async function install(scene: Scene, build: StagedBuild): Promise<Played> {
  const { act, ran } = await measure(scene, `first install of ${shortBuild(build.id)}`, build, ['release', build.id])
  // Nothing serves yet: there is no answer to measure by.
  return { act: { ...act, writtenAtMs: null }, surprises: complaint(ran, 0, 'the first release') }
}

/** A release, or a rollback, that is to end with every node answering with `build`. */
async function travel(scene: Scene, title: string, build: StagedBuild, args: readonly string[]): Promise<Played> {
  const { act, ran } = await measure(scene, title, build, args)
  const { clock, signal } = scene.world
  const names = scene.nodes.map(({ name }) => name)
  const missing = (): readonly string[] =>
    arrivalOf(build.id, act.writtenAtMs ?? 0, names, scene.load?.sightings ?? []).missing
  await waitFor('the answers', clock, signal, 3_000, () => missing().length === 0).catch(() => {})
  const late = missing().length === 0 ? [] : [`${missing().join(', ')} never answered with ${shortBuild(build.id)}`]
  return { act, surprises: [...complaint(ran, 0, `conduct ${args[0]}`), ...late] }
}

export function release(scene: Scene, build: StagedBuild): Promise<Played> {
  return travel(scene, `release of ${shortBuild(build.id)}`, build, ['release', build.id])
}

/**
 * The broken build: its nodes take it, see that it is not healthy, go back by themselves, and the conductor writes the key back.
 * @param previous the build that must run and stand in the key afterwards
 */
export async function releaseBroken(scene: Scene, build: StagedBuild, previous: StagedBuild): Promise<Played> {
  const exposed = bytesWhenExposed(scene, build)
  const { act, ran } = await measure(scene, `broken ${shortBuild(build.id)}, reverted`, build, ['release', build.id])
  const bytesBack = (await fetchedBytes(scene.nodes)) - (await exposed)
  const seen = (scene.load?.sightings ?? []).find((sighting) => sighting.build === build.id)
  const surprises = [
    ...complaint(ran, 1, 'the release of the broken build'),
    ...(seen === undefined ? [] : [`${seen.node} served the broken build`]),
    ...(bytesBack === 0 ? [] : [`going back from the broken build fetched ${bytesBack} bytes`]),
    ...(keyBuild(scene) === previous.id ? [] : [`after the broken build the key names ${keyBuild(scene)}`]),
  ]
  return { act: { ...act, writtenAtMs: null }, surprises }
}

/** What the nodes have fetched when the first of them may run the build: all that they need is on their disks by then. */
async function bytesWhenExposed(scene: Scene, build: StagedBuild): Promise<number> {
  const { clock, signal } = scene.world
  const isExposed = (): boolean => scene.watched.keys.some((key) => key.build === build.id && key.cutoff > 0)
  await waitFor('the broken build to be let on nodes', clock, signal, WAIT_MS, isExposed)
  return fetchedBytes(scene.nodes)
}

/** Waits until each node holds `build` in cold again, ready for a rollback without a sweep. */
export async function rearm(scene: Scene, build: StagedBuild): Promise<Act> {
  const { clock, signal } = scene.world
  const before = await fetchedBytes(scene.nodes)
  const armed = (): boolean =>
    everyNode(scene, ({ cold, armed, phase }) => cold === build.id && armed && phase === 'idle')
  await waitFor(`every node to hold ${shortBuild(build.id)} in cold again`, clock, signal, WAIT_MS, armed)
  scene.screen.say(`Every node holds ${shortBuild(build.id)} in cold again: a rollback is a rename now.`)
  return {
    title: `${shortBuild(build.id)} back into cold`,
    build: build.id,
    writtenAtMs: null,
    fetchedBytes: (await fetchedBytes(scene.nodes)) - before,
    artifactBytes: await artifactBytes(scene, build),
  }
}

/** The rollback, with the store switched off: nobody can fetch even if they wanted. */
export async function rollBack(scene: Scene, build: StagedBuild): Promise<Played> {
  const { storeDir } = scene.place
  scene.screen.say('The store is switched off.')
  renameSync(storeDir, `${storeDir}.off`)
  try {
    return await travel(scene, `rollback to ${shortBuild(build.id)}`, build, ['rollback', '--to', 'previous'])
  } finally {
    renameSync(`${storeDir}.off`, storeDir)
  }
}

/** The build that the key names now. */
export function keyBuild(scene: Scene): string | null {
  return scene.watched.keys.at(-1)?.build ?? null
}

// Owns the stories of rollouts end to end, one after the other on one fleet, and the figures that they come to.
import assert from 'node:assert/strict'
import { until } from '#test/support/until.ts'
import { allAnswer, GATE, RINGS, type Scene, SHARES, type Told } from './scene.ts'

/** What is printed of a story. */
export type Figures = Readonly<Record<string, number | string>>

const seconds = (ms: number): number => Math.round(ms / 100) / 10
const atOf = (told: readonly Told[], event: string): number => {
  const found = told.find((one) => one.event === event)
  assert.ok(found, `the history tells of ${event}: ${told.map((one) => one.event).join(', ')}`)
  return Date.parse(found.at)
}
const metIn = ({ poll, nodesOf }: Scene, ring: (typeof RINGS)[number], build: string): readonly string[] => {
  const names = nodesOf(ring).map(({ name }) => name)
  return poll.met(build).filter((name) => names.includes(name))
}

/** A good build goes through every stage of the plan; no share exposes more than its nodes. */
export async function goodBuild(scene: Scene, build: string): Promise<Figures> {
  const { fleet, poll, nodesOf } = scene
  await scene.publish(build)
  const began = performance.now()
  const said = await fleet.conduct('release', build)
  const tookMs = performance.now() - began
  assert.equal(said.code, 0, said.stdout + said.stderr)
  await until('everybody answers with it', () => allAnswer(poll, build, fleet.nodes.length))
  const told = await scene.history(build)
  const reached = told.filter(({ event }) => event === 'stage-converged')
  const stages = [...RINGS.slice(0, 3).map((ring) => `${ring} 100`), ...SHARES.map((share) => `production ${share}`)]
  assert.deepEqual(
    reached.map(({ facts }) => `${facts.ring} ${facts.share}`),
    stages,
  )
  const size = nodesOf('production').length
  const raised = told.filter(({ event, facts }) => event === 'ordered' && facts.ring === 'production')
  const exposed = raised.map(({ facts }) => Number(facts.exposed))
  assert.deepEqual(
    SHARES.map((share) => Math.ceil((share / 100) * size)).filter((count) => !exposed.includes(count)),
    [],
    `each share is reached exactly: ${exposed.join(', ')}`,
  )
  assert.ok(told.some(({ event }) => event === 'smoke-tested'))
  const judged = told.filter(({ event, facts }) => event === 'gate-judged' && facts.end === true)
  assert.ok(judged.length > 0 && judged.every(({ facts }) => facts.verdict === 'pass'))
  return { stages: stages.length, seconds: seconds(tookMs) }
}

/** A build that is well before production and fails its health check there: what may ever meet it is the first share. */
export async function unhealthyBuild(scene: Scene, build: string, good: string): Promise<Figures> {
  const { fleet, poll } = scene
  await scene.publish(build, { unhealthyIn: ['production'] })
  const said = await fleet.conduct('release', build)
  assert.equal(said.code, 1, said.stdout + said.stderr)
  assert.match(said.stdout, new RegExp(`^${build} was rolled back, after .*failed ${build}`, 'm'))
  await until('everybody answers with the good one', () => allAnswer(poll, good, fleet.nodes.length))
  const told = await scene.history(build)
  const size = scene.nodesOf('production').length
  const most = Math.ceil(size * 0.1)
  const met = metIn(scene, 'production', build)
  assert.ok(met.length > 0, 'the poll is quick enough to see whoever meets it')
  assert.ok(met.length <= most, `${met.join(', ')} of ${size} answered with ${build}, at most ${most} may`)
  const again = await fleet.conduct('release', build)
  assert.equal(again.code, 3, 'it is under quarantine')
  return {
    exposed: `${met.length} of ${size} (at most ${most})`,
    'seconds from the turn to the end': seconds(atOf(told, 'ended') - atOf(told, 'rollback-begun')),
  }
}

/** A build that is healthy everywhere, and fails its pages: Prometheus sees it at canary, and production never meets it. */
export async function erringBuild(scene: Scene, build: string, good: string): Promise<Figures> {
  const { fleet, poll } = scene
  await scene.publish(build, { errors: 0.5 })
  const said = await fleet.conduct('release', build)
  assert.equal(said.code, 1, said.stdout + said.stderr)
  assert.match(said.stdout, new RegExp(`^${build} was rolled back, after .*: errors: 0\\.\\d+ is above the limit`, 'm'))
  await until('everybody answers with the good one', () => allAnswer(poll, good, fleet.nodes.length))
  const told = await scene.history(build)
  assert.deepEqual(metIn(scene, 'production', build), [], 'production never answered with it')
  const stages = told.filter(({ event }) => event === 'stage-passed').map(({ facts }) => facts.ring)
  assert.deepEqual(stages, ['staging', 'dogfood'])
  const end = told.find(({ event, facts }) => event === 'gate-judged' && facts.end === true)
  assert.equal(end?.facts.verdict, 'fail')
  const rows = end.facts.samples as readonly (readonly (number | string)[])[]
  const beyond = rows.findIndex((row) => row.length > 2 && Number(row.at(-1)) > GATE.max)
  assert.equal(beyond, rows.length - 1, `the first reading above the limit is the last: ${JSON.stringify(rows)}`)
  assert.equal(Date.parse(end.at), atOf(told, 'rollback-begun'), 'judged and turned back in one transaction')
  const raised = told.find(
    ({ event, facts }) => event === 'ordered' && facts.kind === 'raise' && facts.ring === 'canary',
  )
  assert.ok(raised)
  return {
    readings: rows.length,
    'seconds between readings': GATE.intervalSeconds,
    'seconds from the first reading to the verdict': Number(rows.at(-1)?.[0]),
    'seconds from the order at canary to the verdict': seconds(Date.parse(end.at) - Date.parse(raised.at)),
    'seconds from the verdict to the end': seconds(atOf(told, 'ended') - atOf(told, 'rollback-begun')),
  }
}

/** A node dies in production: the rollout names it and waits, until somebody says by name that it may go on without. */
export async function silentNode(scene: Scene, build: string): Promise<Figures> {
  const { fleet, poll } = scene
  const lost = scene.nodesOf('production').at(-1)
  assert.ok(lost)
  await lost.stop('SIGKILL')
  const silentOnes = async () => {
    const { rings } = await fleet.status()
    return rings.flatMap(({ nodes }) => nodes.filter(({ silent }) => silent).map(({ node }) => node))
  }
  await until('it is silent', async () => (await silentOnes()).length === 1)
  await scene.publish(build)
  let over = false
  const running = fleet.conduct('release', build).finally(() => {
    over = true
  })
  const waits = async () => {
    const { rollout } = await fleet.status()
    return over || rollout?.because.some(({ code }) => code === 'nodes-silent')
  }
  const began = performance.now()
  await until('it waits for the silent one', waits, 120_000)
  assert.ok(!over, 'no success, and no end, without it')
  const why = await fleet.conduct('why')
  assert.ok(why.stdout.includes(lost.name), why.stdout)
  assert.match(why.stdout, /conduct waive/)
  const waived = await fleet.conduct('waive', lost.name, '--by', 'ana', '--reason', 'its disk is dead')
  assert.equal(waived.code, 0, waived.stderr)
  const said = await running
  assert.equal(said.code, 0, said.stdout + said.stderr)
  const living = fleet.nodes.filter((node) => node !== lost).map(({ name }) => name)
  await until('all others answer with it', () => living.every((name) => poll.now.get(name) === build))
  const history = await fleet.conduct('history')
  assert.match(history.stdout, new RegExp(`ana.*${lost.name}|${lost.name}.*ana`))
  return { waited: `for ${lost.name}`, seconds: seconds(performance.now() - began) }
}

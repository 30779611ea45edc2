// Owns crash points of the program itself: `puller run` under a Consul of its own, killed at a step, started again, and judged by its status.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { type RunningAgent, startAgent } from '#adapters/consul/agent/agent.ts'
import { DEFAULT_PREFIX, keysOf } from '#fleet/keys.ts'
import { readStatus, writeTarget } from '#fleet/wire.ts'
import { end, hasEnded, mortal } from '../child.ts'
import { APP } from '../tree-options.ts'
import { until } from '../until.ts'
import { type ErrandOrder, RING, targetOf } from './errand.ts'
import { brokenIn, type Ground, type Verdict, wrongAtRest } from './kill.ts'
import { type Operation, rootOf, type State } from './states.ts'
import { stepsIn } from './victim.ts'

const PULLER = fileURLToPath(new URL('../../../puller/puller', import.meta.url))
const KEYS = keysOf(DEFAULT_PREFIX, APP)
const LIMIT_MS = 60_000

/** One Consul, and the pullers that live and die under it one after the other. */
export class Daemons {
  readonly #agent: RunningAgent
  readonly #ground: Ground
  #count = 0

  private constructor(agent: RunningAgent, ground: Ground) {
    this.#agent = agent
    this.#ground = ground
  }

  static async open(ground: Ground): Promise<Daemons> {
    return new Daemons(await startAgent(), ground)
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }

  /** The steps of an operation that nothing happens to, from the puller's start to its clean stop. */
  async stepsOf(state: State, operation: Operation): Promise<readonly string[]> {
    const { workshop } = this.#ground
    const mounted = await workshop.copy(state.kind, state.image)
    const trace = workshop.name('steps')
    const puller = await this.#puller(rootOf(mounted), operation)
    try {
      puller.start({ HOTCOLD_STEPS: trace })
      await puller.rests()
      await puller.stop('SIGTERM')
      return await stepsIn(trace)
    } finally {
      await puller.stop('SIGKILL')
      await mounted.release()
    }
  }

  async dieAt(state: State, operation: Operation, at: number): Promise<Verdict> {
    const mounted = await this.#ground.workshop.copy(state.kind, state.image)
    const root = rootOf(mounted)
    const puller = await this.#puller(root, operation)
    try {
      puller.start({ HOTCOLD_FAILPOINT: `*@${at}:kill` })
      if (await puller.restsOrDies()) await puller.stop('SIGTERM')
      const killed = puller.killed()
      const wrong = [...brokenIn(root, this.#ground, state, operation)]
      const recoveryMs = await puller.recover()
      await puller.rests()
      const code = await puller.stop('SIGTERM')
      if (code !== 0) wrong.push(`a clean stop ended with ${code}`)
      return {
        killed,
        killedAgain: false,
        recoveryMs,
        wrong: [...wrong, ...wrongAtRest(root, operation, this.#ground.builds)],
      }
    } catch (error) {
      const wrong = [error instanceof Error ? error.message : String(error), ...(await puller.lastWords())]
      return { killed: true, killedAgain: false, recoveryMs: 0, wrong }
    } finally {
      await puller.stop('SIGKILL')
      await mounted.release()
    }
  }

  async #put(order: ErrandOrder | undefined): Promise<void> {
    const url = `${this.#agent.url}/v1/kv/${KEYS.target(RING)}`
    const answer = order
      ? await fetch(url, { method: 'PUT', body: writeTarget(targetOf(order)) })
      : await fetch(url, { method: 'DELETE' })
    if (!answer.ok) throw new Error(`the target could not be written: ${answer.status}`)
  }

  /** A puller of a name of its own on a root, and the order it will find. */
  async #puller(root: string, { store, orders, rest }: Operation) {
    const { workshop } = this.#ground
    this.#count += 1
    const node = `node-${this.#count}`
    const config = workshop.name('config')
    const logFile = workshop.name('log')
    const quick = {
      coldQuietSeconds: 0,
      repairSeconds: 60,
      fetch: { spreadSeconds: 0 },
      rearm: { delaySeconds: 0, spreadSeconds: 0 },
    }
    const consul = { url: this.#agent.url }
    const at = { app: APP, ring: RING, node, root, consul, store: { url: `file://${store}` } }
    await writeFile(config, stringify({ ...at, ...quick }))
    await this.#put(orders.at(-1))
    // The state was made without a Consul: its session is none of this one's.
    await rm(join(root, '.hotcold/session'), { force: true })

    let child: ChildProcess | null = null
    let startedAtMs = 0
    const start = (env: Readonly<Record<string, string>> = {}): void => {
      const log = createWriteStream(logFile, { flags: 'a' })
      startedAtMs = Date.now()
      child = spawn(...mortal(PULLER, 'run', '--config', config), { env: { ...process.env, ...env } })
      child.stdout?.pipe(log, { end: false })
      child.stderr?.pipe(log, { end: false })
    }
    const isAtRest = async (): Promise<boolean> => {
      const answer = await fetch(`${this.#agent.url}/v1/kv/${KEYS.node(RING, node)}?raw`)
      if (!answer.ok) return false
      const { phase, hot, cold, armed, generation } = readStatus(new Uint8Array(await answer.arrayBuffer()))
      const settled = phase === 'idle' || phase === 'staged'
      const spare = rest.cold === null || (cold === rest.cold && armed)
      return settled && hot === rest.hot && generation === rest.generation && spare
    }
    const dead = (): boolean => child !== null && hasEnded(child)
    const lines = async (): Promise<readonly { msg: string; time: string | number }[]> =>
      (await readFile(logFile, 'utf8').catch(() => ''))
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { msg: string; time: string | number })
    return {
      start,
      rests: () =>
        until(`${node} rests at ${JSON.stringify(rest)}`, isAtRest, LIMIT_MS).catch(async (error: Error) => {
          const said = (await lines()).slice(-8).map((line) => JSON.stringify(line))
          throw new Error([error.message, ...said].join('\n'))
        }),
      restsOrDies: async (): Promise<boolean> => {
        await until(`${node} rests or dies`, async () => dead() || (await isAtRest()), LIMIT_MS)
        return !dead()
      },
      killed: () => child?.signalCode === 'SIGKILL',
      /** Starts it again. @returns from the start of the process until it was known what runs, in milliseconds */
      recover: async (): Promise<number> => {
        // What the dead one said last must not be taken for the word of the living.
        await fetch(`${this.#agent.url}/v1/kv/${KEYS.node(RING, node)}`, { method: 'DELETE' })
        const before = (await lines()).filter(({ msg }) => msg === 'resumed').length
        start()
        const resumed = await until(`${node} resumes`, async () =>
          (await lines()).filter(({ msg }) => msg === 'resumed').at(before),
        )
        return new Date(resumed.time).getTime() - startedAtMs
      },
      stop: async (signal: NodeJS.Signals): Promise<number | null> =>
        child === null ? null : await end(child, signal),
      lastWords: async () => (await lines()).slice(-8).map((line) => JSON.stringify(line)),
      forget: () => Promise.all([rm(config, { force: true }), rm(logFile, { force: true })]),
    }
  }
}

// Owns the process that is killed, stopped or starved in a crash proof: one errand, its steps recorded or cut short.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { mortal } from '../child.ts'
import type { Errand } from './errand.ts'

const MAIN = fileURLToPath(new URL('./errand-main.ts', import.meta.url))
/** Types are stripped once, not by each of a thousand processes. */
const COMPILED = fileURLToPath(new URL('../../../.cache/compiled', import.meta.url))

/** Never happens, but counts. */
const COUNTING = '*@999999999:kill'

export interface ChildOptions {
  /** See puller/shell/failpoints.ts. */
  readonly failpoint?: string
  /** A file that gets the name of every step. */
  readonly steps?: string
  /** The FIFO of the failpoint `pause`. */
  readonly gate?: string
  readonly factor?: number
  /** Codes (a regular expression) after which it is given up. */
  readonly final?: string
  /** argv before its own. */
  readonly under?: readonly string[]
}

export interface ChildEnd {
  readonly killed: boolean
  readonly code: number | null
  /** Codes of the errors that it told, each once. */
  readonly told: readonly string[]
}

export function startChild(errand: Errand, options: ChildOptions = {}) {
  const { failpoint = COUNTING, steps = '', gate = '', factor, final, under = [] } = options
  const argument = JSON.stringify({ ...errand, factor, final })
  const child = spawn(...mortal(...under, process.execPath, MAIN, argument), {
    env: {
      ...process.env,
      HOTCOLD_FAILPOINT: failpoint,
      HOTCOLD_STEPS: steps,
      HOTCOLD_PAUSE: gate,
      NODE_COMPILE_CACHE: COMPILED,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let complaints = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const ended = once(child, 'close').then(([code, signal]: (number | string | null)[]): ChildEnd => {
    const told = out.split('\n').filter((line) => line !== '')
    if (complaints !== '') told.push(`UNFORESEEN ${complaints.slice(0, 2_000)}`)
    return { killed: signal === 'SIGKILL', code: typeof code === 'number' ? code : null, told }
  })
  return { child, ended }
}

export async function runChild(errand: Errand, options: ChildOptions = {}): Promise<ChildEnd> {
  return await startChild(errand, options).ended
}

/** Names of the steps in the trace so far. */
export async function stepsIn(trace: string): Promise<readonly string[]> {
  const text = await readFile(trace, 'utf8').catch(() => '')
  return text.split('\n').slice(0, -1)
}

/** The steps of an errand that nothing happens to. */
export async function recordSteps(errand: Errand, trace: string): Promise<readonly string[]> {
  const end = await runChild(errand, { steps: trace })
  if (end.code !== 0) throw new Error(`the dry run failed: ${end.told.join(', ')}`)
  const steps = await stepsIn(trace)
  await rm(trace)
  return steps
}

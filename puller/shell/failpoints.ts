// Owns the steps of a puller: every change of the disk passes one by name, where tests kill the process, stop it, or make the disk fail.
import { appendFileSync, openSync, readSync } from 'node:fs'
import { constants as os } from 'node:os'
import { isMainThread, workerData } from 'node:worker_threads'

interface Failpoint {
  readonly name: string
  /** The n-th time the step is passed; null for every time. */
  readonly nth: number | null
  /** From the n-th time on. */
  readonly onwards: boolean
  readonly action: string
}

/**
 * `HOTCOLD_FAILPOINT=<step>[@n[..]]:<action>`, several with commas between them. The step `*` is any step: `*@17:kill` dies at the seventeenth
 * change of the disk, whichever that is; `@17..` is the seventeenth and all after it. Inert without the variable. Actions:
 *
 *     kill           SIGKILL before the step
 *     tear           SIGKILL after half of what the step writes was written; before it when it writes nothing
 *     pause          goes on once a byte can be read from the FIFO `HOTCOLD_PAUSE`
 *     error:<ERRNO>  the step fails, as the disk would let it fail
 */
function readFailpoints(text: string | undefined): readonly Failpoint[] {
  return (text ?? '').split(',').flatMap((part) => {
    const match = /^([\w.*]+)(?:@(\d+)(\.\.)?)?:(kill|tear|pause|error:[A-Z]+)$/.exec(part.trim())
    const [, name, nth, onwards, action] = match ?? []
    return name && action ? [{ name, nth: nth ? Number(nth) : null, onwards: onwards !== undefined, action }] : []
  })
}

const failpoints = readFailpoints(process.env.HOTCOLD_FAILPOINT)
/** A file that gets a line with its name for every step that is passed. */
const trace = process.env.HOTCOLD_STEPS ?? ''
const inert = failpoints.length === 0 && trace === ''

/** How often each failpoint was passed, over all threads of this process. */
export const stepCounters: SharedArrayBuffer =
  !isMainThread && workerData?.stepCounters instanceof SharedArrayBuffer
    ? workerData.stepCounters
    : new SharedArrayBuffer(64)
const counts = new Int32Array(stepCounters)

/**
 * Passes a step. Does nothing unless `HOTCOLD_FAILPOINT` names it.
 * @param half does half of it, for a step that can be torn
 */
export function step(name: string, half?: () => void): void {
  if (inert) return
  if (trace !== '') appendFileSync(trace, `${name}\n`)
  for (const [index, failpoint] of failpoints.entries()) {
    if (failpoint.name !== name && failpoint.name !== '*') continue
    const nth = Atomics.add(counts, index, 1) + 1
    const { nth: from, onwards, action } = failpoint
    if (from !== null && (onwards ? nth < from : nth !== from)) continue
    if (action === 'pause') pause()
    else if (action.startsWith('error:')) throw injected(name, action.slice('error:'.length))
    else {
      if (action === 'tear') half?.()
      die()
    }
  }
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
  // The signal may need a moment to arrive; nothing may change in that moment.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000)
}

let gate: number | null = null

function pause(): void {
  gate ??= openSync(process.env.HOTCOLD_PAUSE ?? '', 'r')
  readSync(gate, new Uint8Array(1))
}

function injected(name: string, code: string): Error {
  const number = Object.entries(os.errno).find(([key]) => key === code)?.[1] ?? 5
  // Node has no name for EDQUOT: it arrives as a bare number, and must here too.
  const shown = code === 'EDQUOT' ? 'Unknown system error -122' : code
  return Object.assign(new Error(`${shown}: injected at ${name}`), { code: shown, errno: -number })
}

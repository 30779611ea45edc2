// Owns power cuts: a process is stopped at each step, the image below it is copied as it is, and the copy is mounted, checked and recovered from.
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { freeze } from '../child.ts'
import { until } from '../until.ts'
import { brokenIn, errandIn, type Ground, recoverIn } from './kill.ts'
import { type Operation, rootOf, type State } from './states.ts'
import { startChild, stepsIn } from './victim.ts'

export interface Cut {
  readonly step: string
  /** Which step of all, from 1. */
  readonly at: number
  readonly recoveryMs: number
  readonly wrong: readonly string[]
}

/** Of one whole operation: it stands still most of the time. */
const LIMIT_MS = 3_600_000

export interface Looked {
  readonly recoveryMs: number
  readonly wrong: readonly string[]
}

/**
 * Carries out one operation and cuts the power at those of its steps that `chosen` takes.
 * @param onCut hears of each as soon as it was looked at
 * @param judge may look again at the same cut: each look has a copy of its own
 */
export async function cutPower(
  ground: Ground,
  state: State,
  operation: Operation,
  chosen: (step: string, at: number) => boolean,
  onCut: (cut: Cut) => void,
  judge: (look: () => Promise<Looked>) => Promise<Looked> = (look) => look(),
): Promise<void> {
  const { workshop } = ground
  const live = await workshop.copy(state.kind, state.image)
  const gatePath = workshop.name('gate')
  const trace = workshop.name('steps')
  execFileSync('mkfifo', [gatePath])
  // Open for both, so that neither end waits for the other.
  const gate = openSync(gatePath, 'r+')
  const options = { failpoint: '*:pause', steps: trace, gate: gatePath }
  const { child, ended } = startChild({ ...errandIn(rootOf(live), operation), limitMs: LIMIT_MS }, options)
  let over = false
  const end = ended.finally(() => {
    over = true
  })
  try {
    for (let at = 1; ; at += 1) {
      const steps = await until(`step ${at} is reached`, async () => {
        const passed = await stepsIn(trace)
        return over || passed.length >= at ? passed : null
      })
      const step = steps[at - 1]
      if (step === undefined) break
      let image: string | null = null
      if (chosen(step, at)) {
        await freeze(child)
        image = await workshop.cut(live)
        child.kill('SIGCONT')
      }
      writeSync(gate, new Uint8Array(1))
      if (image === null) continue
      const cut = image
      onCut({ step, at, ...(await judge(() => lookAt(cut, ground, state, operation))) })
      await rm(cut)
    }
    const { code, told } = await end
    if (code !== 0) throw new Error(`the operation did not end well: ${told.join(', ')}`)
  } finally {
    child.kill('SIGKILL')
    await end
    closeSync(gate)
    await live.release()
  }
}

async function lookAt(image: string, ground: Ground, state: State, operation: Operation): Promise<Looked> {
  const copy = await ground.workshop.copy(state.kind, image)
  try {
    const root = rootOf(copy)
    const broken = brokenIn(root, ground, state, operation)
    const { recoveryMs, wrong } = await recoverIn(root, ground, operation)
    return { recoveryMs, wrong: [...broken, ...wrong] }
  } finally {
    await copy.release()
  }
}

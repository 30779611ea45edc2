// Owns the drain kind `leases`: a directory where each active process holds a file named after its pid.
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describeError } from '#fleet/errors.ts'
import { bootedAtMs, lives, processFacts } from '../processes.ts'
import type { Gauge, GaugeContext, GaugeWorld } from './gauge.ts'

/** However quiet the watch is, the directory is read this often: inotify sees no change made over NFS, and none that a full queue dropped. */
const SLOW_POLL_MS = 1_000
/** Start times are exact to 10 ms and file times to a tick; the two clocks behind them may drift apart by more than that. */
const REUSED_AFTER_MS = 2_000

/**
 * Idle once no file is held by a living process. A file counts when its name begins with a pid (as this puller sees pids); its content is ignored.
 * Files of dead processes are ignored, also when another process got the pid since: it started after the file was last written.
 * A directory that is not there, or cannot be read, is busy: nobody can tell.
 */
export function leasesGauge(config: { readonly dir: string }, ctx: GaugeContext, world: GaugeWorld): Gauge {
  const dir = resolve(ctx.root, config.dir)
  let changed = Promise.withResolvers<void>()
  const watching = world.watch(dir, () => changed.resolve())
  return {
    async read() {
      changed = Promise.withResolvers()
      try {
        const held = await heldLeases(dir, world.clock.now())
        if (held.length === 0) return null
        const names = held.slice(0, 3).join(', ')
        return `${held.length} ${held.length === 1 ? 'lease is' : 'leases are'} held in ${dir}: ${names}${held.length > 3 ? ', …' : ''}`
      } catch (error) {
        return `the leases cannot be read: ${describeError(error)}`
      }
    },
    pollMs: SLOW_POLL_MS,
    async pause(ms, signal) {
      const over = new AbortController()
      const wait = world.clock.sleep(ms, AbortSignal.any([signal, over.signal]))
      try {
        await Promise.race([wait, changed.promise])
      } finally {
        over.abort()
        wait.catch(() => {})
      }
    },
    [Symbol.asyncDispose]: () => watching[Symbol.asyncDispose](),
  }
}

async function heldLeases(dir: string, nowMs: number): Promise<string[]> {
  const bootMs = await bootedAtMs(nowMs)
  const held: string[] = []
  for (const name of await readdir(dir)) {
    const pid = /^[1-9]\d*/.exec(name)?.[0]
    if (pid === undefined) continue
    const facts = processFacts(Number(pid))
    if (!lives(facts)) continue
    const file = await stat(join(dir, name)).catch(() => null)
    if (file === null) continue // given back in between
    const reused = bootMs + facts.startedSeconds * 1_000 > file.mtimeMs + REUSED_AFTER_MS
    if (!reused) held.push(name)
  }
  return held
}

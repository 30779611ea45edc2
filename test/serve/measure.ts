// Owns what a daemon costs and how late its view is: its processor time and memory from /proc, and its event stream against the writer's clock.
import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { listenTo } from '#test/support/event-stream.ts'

const TICKS_A_SECOND = 100

export interface Cost {
  readonly cpuPercent: number
  readonly rssMiB: number
  readonly peakMiB: number
}

/** Processor time in seconds, user and system. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

function memory(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  const [, kib = '0'] =
    new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}

/** Of `work`, per wall time that it took. */
export async function costOf(pid: number, work: () => Promise<unknown>): Promise<Cost> {
  const [began, cpu] = [performance.now(), cpuSeconds(pid)]
  await work()
  const seconds = (performance.now() - began) / 1_000
  const cpuPercent = ((cpuSeconds(pid) - cpu) / seconds) * 100
  return { cpuPercent, rssMiB: memory(pid, 'VmRSS'), peakMiB: memory(pid, 'VmHWM') }
}

export interface Lags {
  /** Of each status that was told, in milliseconds since it was written. */
  readonly ms: readonly number[]
  /** p between 0 and 1, of those that came after the first `from`. */
  at(p: number, from?: number): number
}

interface Pictured {
  readonly rings?: readonly { readonly nodes?: readonly { readonly node: string; readonly at: string }[] }[]
}

/** Listens from now on: how long each status took from its writer to a client of the stream. */
export async function lagsOf(t: Pick<TestContext, 'after'>, address: string): Promise<Lags> {
  const ms: number[] = []
  const last = new Map<string, string>()
  await listenTo(t, address, {
    onTold: ({ event, data, atMs }) => {
      if (event !== 'change' && event !== 'status') return
      for (const { node, at } of ((data as Pictured).rings ?? []).flatMap(({ nodes = [] }) => nodes)) {
        // An order changes what a node counts as, without a word of its own.
        if (event === 'change' && last.get(node) !== at) ms.push(atMs - Date.parse(at))
        last.set(node, at)
      }
    },
  })
  return {
    ms,
    at: (p, from = 0) => {
      const late = ms.slice(from).toSorted((a, b) => a - b)
      return late[Math.min(late.length - 1, Math.floor(p * late.length))] ?? Number.NaN
    },
  }
}

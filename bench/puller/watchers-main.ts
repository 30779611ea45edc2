// Owns a process of many watchers: each is the puller's own feed with a client of its own; it tells when all have seen a value, and each when.
import { connectConsul } from '#adapters/consul/client.ts'
import { targetFeed } from '#adapters/consul/feed.ts'
import { systemClock } from '#adapters/runtime/clock.ts'
import { silentLogger } from '#adapters/runtime/logger.ts'

const [url = '', count = '1'] = process.argv.slice(2)
const watchers = Number(count)
const never = new AbortController().signal
const seen = new Map<string, number[]>()

async function watch(): Promise<void> {
  const client = connectConsul({ url }, { clock: systemClock, log: silentLogger })
  for await (const event of targetFeed(client, { app: 'web', ring: 'production' }).watch(never)) {
    const now = Number(process.hrtime.bigint()) / 1e6
    if (event.type === 'trouble') throw event.error
    const value = event.reading.kind === 'value' ? Buffer.from(event.reading.raw).toString() : ''
    const atMs = seen.get(value) ?? []
    seen.set(value, atMs)
    atMs.push(now)
    if (atMs.length === watchers) process.stdout.write(`${JSON.stringify({ value, atMs })}\n`)
  }
}

await Promise.all(Array.from({ length: watchers }, () => watch()))

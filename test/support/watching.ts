// Owns following a target in tests: what the feed yields, kept as events and as words.
import type { TestContext } from 'node:test'
import { targetFeed } from '#adapters/consul/feed.ts'
import type { FeedEvent } from '#fleet/ports.ts'
import { type Connected, connect } from './connect.ts'
import { kvAnswer, type Lie, type Script } from './lying-consul.ts'

export const KEY = 'hotcold/v1/web/production/target'
/** An honest answer with this value of the target. */
export const target = (value: string, index: number, modifyIndex = index): Lie =>
  kvAnswer(KEY, value, index, modifyIndex)

export interface Watching extends Connected {
  readonly events: readonly FeedEvent[]
  /** The values of the readings so far, `absent` for none, `!CODE` for a trouble. */
  seen(): readonly string[]
  readonly ended: Promise<void>
  stop(): void
}

/** Watches the target at `url` and keeps what the feed yields. */
export function watching(
  t: TestContext,
  url: string,
  options: Omit<Parameters<typeof connect>[1], 'url'> = {},
): Watching {
  const connected = connect(t, { url, waitMs: 60_000, ...options })
  const feed = targetFeed(connected.client, { app: 'web', ring: 'production' })
  const stop = new AbortController()
  const events: FeedEvent[] = []
  const ended = (async () => {
    for await (const event of feed.watch(AbortSignal.any([stop.signal, connected.signal]))) events.push(event)
  })()
  const wordFor = (event: FeedEvent) => {
    if (event.type === 'trouble') return `!${event.error.code}`
    return event.reading.kind === 'absent' ? 'absent' : Buffer.from(event.reading.raw).toString()
  }
  return { ...connected, events, ended, seen: () => events.map(wordFor), stop: () => stop.abort(new Error('enough')) }
}

/** Answers a read that does not block with `now`, and lets a blocking one wait for ever. */
export function quiet(now: () => Lie): Script {
  return ({ query }) => (query.has('index') ? { ending: 'mute' } : now())
}

// Owns a client of the daemon's event stream in tests: what it was told, in order, as it came.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

export interface Told {
  /** The id in force: of this message, or of the last one that had any. */
  readonly id: string | null
  readonly event: string
  readonly data: unknown
  /** When it came, in milliseconds since 1970. */
  readonly atMs: number
}

export interface Listening {
  readonly told: readonly Told[]
  /** Comments, by which the stream shows that it lives. */
  beats(): number
  /** Resolves when the stream has ended. */
  readonly ended: Promise<void>
  close(): void
}

/** @param onTold called with each message as it comes; then none is kept */
export async function listenTo(
  t: Pick<TestContext, 'after'>,
  address: string,
  options: { readonly lastId?: string; readonly onTold?: (told: Told) => void } = {},
): Promise<Listening> {
  const stop = new AbortController()
  const { lastId, onTold } = options
  const headers: Record<string, string> = lastId === undefined ? {} : { 'last-event-id': lastId }
  const answer = await fetch(`http://${address}/api/v1/events`, { headers, signal: stop.signal })
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/)
  const told: Told[] = []
  let beats = 0
  let id: string | null = lastId ?? null
  const hear = (block: string): void => {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    )
    if (fields.has('')) beats += 1
    id = fields.get('id') ?? id
    const event = fields.get('event')
    if (event === undefined) return
    const one = { id, event, data: JSON.parse(fields.get('data') ?? 'null') as unknown, atMs: Date.now() }
    if (onTold === undefined) told.push(one)
    else onTold(one)
  }
  const ended = read(answer, hear).catch(() => undefined)
  t.after(async () => {
    stop.abort()
    await ended
  })
  return { told, beats: () => beats, ended, close: () => stop.abort() }
}

async function read(answer: Response, hear: (block: string) => void): Promise<void> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) hear(block)
  }
}

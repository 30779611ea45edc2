// Owns the load of the demo: requests to every node at a steady rate, each answer judged by what it says of its two files.
// A process of its own, so that nothing the demo does slows it down: started by IPC, reports four times a second.
import { Agent, get } from 'node:http'
import { systemClock as clock } from '#adapters/runtime/clock.ts'
import { type Answer, judge, type LoadOrder, type NodeLoad, type Sighting } from './traffic.ts'

const TICK_MS = 20
const REPORT_MS = 250
const ANSWER_TIMEOUT_MS = 40_000
const MAX_REASONS_KEPT = 3

// One agent keeps connections alive; as many of them as requests are open at once.
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 1_024 })
const nodes = new Map<string, NodeLoad>()
let sightings: Sighting[] = []
let stopping = false

function send(node: string, url: string): void {
  const load = nodes.get(node)
  if (load === undefined) return
  const sentAt = clock.monotonic()
  load.sent += 1
  load.open += 1
  let isOver = false
  const over = (answer: Answer): void => {
    if (isOver) return
    isOver = true
    settle(node, load, answer, clock.monotonic() - sentAt)
  }
  const request = get(url, { agent, timeout: ANSWER_TIMEOUT_MS }, (response) => {
    let body = ''
    response.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    response.on('end', () => over(judge(response.statusCode ?? 0, body)))
    response.on('error', (error) => over({ verdict: 'failed', why: error.message }))
  })
  request.on('timeout', () => request.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)))
  request.on('error', (error) => over({ verdict: 'failed', why: error.message }))
}

function settle(node: string, load: NodeLoad, answer: Answer, tookMs: number): void {
  load.open -= 1
  load.longestMs = Math.max(load.longestMs, tookMs)
  load[answer.verdict] += 1
  if (answer.verdict === 'served' && answer.build !== load.build) {
    load.build = answer.build
    sightings.push({ node, build: answer.build, atMs: clock.now() })
  }
  if (answer.verdict !== 'served' && load.why[answer.verdict].length < MAX_REASONS_KEPT) {
    load.why[answer.verdict].push(answer.why)
  }
}

function report(): void {
  process.send?.({
    nodes: Object.fromEntries(nodes),
    sightings,
    over: stopping && [...nodes.values()].every((load) => load.open === 0),
  })
  sightings = []
}

/** Sends what is due by the clock, so that a tick that came late does not lower the rate. */
async function drive({ urls, perSecond }: LoadOrder): Promise<void> {
  const since = clock.monotonic()
  while (!stopping) {
    const due = Math.floor(((clock.monotonic() - since) * perSecond) / 1_000)
    for (const [node, url] of Object.entries(urls)) {
      for (let sent = nodes.get(node)?.sent ?? due; sent < due; sent += 1) send(node, url)
    }
    await clock.sleep(TICK_MS)
  }
}

process.on('message', (order: LoadOrder | 'stop') => {
  if (order === 'stop') {
    stopping = true
    return
  }
  for (const node of Object.keys(order.urls)) {
    nodes.set(node, {
      sent: 0,
      served: 0,
      failed: 0,
      mixed: 0,
      open: 0,
      longestMs: 0,
      build: '',
      why: { failed: [], mixed: [] },
    })
  }
  setInterval(report, REPORT_MS)
  drive(order).catch((error: unknown) => {
    process.exitCode = 70
    throw error
  })
})
process.on('disconnect', () => process.exit(0))

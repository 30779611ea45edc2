// Owns the exporter of tests, as a process: what a fleet's applications count, each node for the build that it runs by its status in Consul.
import { createServer } from 'node:http'

/** What it is told: how many of a build's requests fail (0 … 1), of which builds nothing is counted, and plain gauges to show besides. */
export interface Said {
  readonly errors?: Readonly<Record<string, number>>
  readonly mute?: readonly string[]
  /** Name and labels as they are exposed → value as it is exposed, `NaN` and `+Inf` too. */
  readonly gauges?: Readonly<Record<string, string>>
}

const [consulUrl = ''] = process.argv.slice(2)
const REQUESTS_PER_SECOND = 100
let said: Required<Said> = { errors: {}, mute: [], gauges: {} }
const counted = new Map<string, { requests: number; errors: number }>()
let lastMs = performance.now()

async function running(): Promise<readonly { node: string; build: string }[]> {
  const answer = await fetch(`${consulUrl}/v1/kv/hotcold/v1/web/?recurse`)
  if (!answer.ok) return []
  const entries = (await answer.json()) as { Key: string; Value: string | null }[]
  return entries.flatMap(({ Key, Value }) => {
    if (!Key.includes('/nodes/') || Value === null) return []
    const { node, hot } = JSON.parse(Buffer.from(Value, 'base64').toString()) as { node: string; hot: string | null }
    return hot === null ? [] : [{ node, build: hot }]
  })
}

async function count(): Promise<void> {
  const nodes = consulUrl === '' ? [] : await running().catch(() => [])
  const nowMs = performance.now()
  const requests = ((nowMs - lastMs) / 1_000) * REQUESTS_PER_SECOND
  lastMs = nowMs
  for (const { node, build } of nodes) {
    const labels = `node="${node}",build="${build}"`
    const so = counted.get(labels) ?? { requests: 0, errors: 0 }
    so.requests += requests
    so.errors += requests * (said.errors[build] ?? 0)
    counted.set(labels, so)
  }
}

function exposed(): string {
  const rows = [...counted].filter(([labels]) => !said.mute.some((build) => labels.endsWith(`build="${build}"`)))
  const lines = rows.flatMap(([labels, { requests, errors }]) => [
    `web_requests_total{${labels}} ${requests}`,
    `web_errors_total{${labels}} ${errors}`,
  ])
  return `${[...lines, ...Object.entries(said.gauges).map(([name, value]) => `${name} ${value}`)].join('\n')}\n`
}

const server = createServer((request, response) => {
  if (request.url !== '/say') {
    response.setHeader('content-type', 'text/plain; version=0.0.4')
    response.end(exposed())
    return
  }
  let body = ''
  request.setEncoding('utf8').on('data', (text: string) => {
    body += text
  })
  request.on('end', () => {
    said = { errors: {}, mute: [], gauges: {}, ...(JSON.parse(body) as Said) }
    response.end()
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`)
})
setInterval(() => void count(), 100)

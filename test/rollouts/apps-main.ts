// Owns the applications of a fleet, in one process: each node has a server and a port of its own and serves from its own `hot` at each request.
// Arguments: `ring=root` for each node. A build's `app.json` may make it unhealthy in some rings, or fail a share of its pages.
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'

interface Manners {
  /** Rings in which its health check answers 503. */
  readonly unhealthyIn?: readonly string[]
  /** How many of its pages answer 500 (0 … 1). */
  readonly errors?: number
}

const counted = new Map<string, { requests: number; errors: number }>()

function served(root: string): { build: string; manners: Manners } | null {
  try {
    const build = readFileSync(join(root, 'hot/build.txt'), 'utf8').trim()
    return { build, manners: JSON.parse(readFileSync(join(root, 'hot/app.json'), 'utf8')) as Manners }
  } catch {
    return null // nothing is installed yet
  }
}

function page(node: string, build: string, { errors = 0 }: Manners): number {
  const labels = `node="${node}",build="${build}"`
  const so = counted.get(labels) ?? { requests: 0, errors: 0 }
  counted.set(labels, so)
  so.requests += 1
  const fails = Math.floor(so.requests * errors) > Math.floor((so.requests - 1) * errors)
  if (fails) so.errors += 1
  return fails ? 500 : 200
}

function app(ring: string, root: string): RequestListener {
  const node = root.split('/').at(-1) ?? ''
  return ({ url }, response) => {
    const now = served(root)
    if (now === null) return void response.writeHead(404).end()
    const well = !(now.manners.unhealthyIn ?? []).includes(ring)
    const status = url === '/healthz' ? (well ? 200 : 503) : page(node, now.build, now.manners)
    response.writeHead(status, { 'x-hotcold-build': now.build }).end(now.build)
  }
}

const metrics: RequestListener = (_request, response) => {
  const lines = [...counted].flatMap(([labels, { requests, errors }]) => [
    `web_requests_total{${labels}} ${requests}`,
    `web_errors_total{${labels}} ${errors}`,
  ])
  response.setHeader('content-type', 'text/plain; version=0.0.4')
  response.end(`${lines.join('\n')}\n`)
}

async function listen(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const nodes = process.argv.slice(2).map((word) => word.split('=') as [string, string])
const ports = await Promise.all([metrics, ...nodes.map(([ring, root]) => app(ring, root))].map(listen))
process.stdout.write(`${ports.join(' ')}\n`)

// Owns the small real application that tests deploy to: it serves from <root>/hot, and misbehaves on request.
//
// It loads a tree once, at start and on SIGHUP, and serves that tree until the next SIGHUP, as real applications do. A tree may hold
// `build.txt` (its build id) and `app.json` (knobs, so that a build can be broken from birth); pages are made of `a.txt` and `b.txt`.
import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'

/** How the application misbehaves. A tree sets them in `app.json`, a test by `POST /knobs`; a test's win and outlive reloads. */
export interface Knobs {
  /** `slow` answers after `healthDelayMs`, `flapping` fails every third time, `mute` never answers. */
  health: 'healthy' | 'unhealthy' | 'flapping' | 'slow' | 'mute'
  healthDelayMs: number
  /** Says it is this build, whatever it serves. */
  identity: string | null
  /** A reload does nothing: the old build goes on answering. */
  deaf: boolean
  /** Every page takes this long. */
  pageDelayMs: number
}

const defaults: Knobs = { health: 'healthy', healthDelayMs: 500, identity: null, deaf: false, pageDelayMs: 0 }

const [root = '.', port = '0', leases = ''] = process.argv.slice(2)
let tree = ''
let build = ''
let ofTree: Partial<Knobs> = {}
let ofTest: Partial<Knobs> = {}
let asked = 0
let active = 0
let held: (() => void)[] = []

function knobs(): Knobs {
  return { ...defaults, ...ofTree, ...ofTest }
}

function text(name: string): string {
  try {
    return readFileSync(join(tree, name), 'utf8').trim()
  } catch {
    return ''
  }
}

function load(): void {
  tree = join(root, readlinkSync(join(root, 'hot')))
  build = text('build.txt')
  ofTree = JSON.parse(text('app.json') || '{}')
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const identity = knobs().identity ?? build
  response.writeHead(status, { 'content-type': 'application/json', 'x-hotcold-build': identity })
  response.end(JSON.stringify(body))
}

function health(response: ServerResponse): void {
  asked += 1
  const { health, healthDelayMs, identity } = knobs()
  if (health === 'mute') return
  const well = health === 'healthy' || health === 'slow' || (health === 'flapping' && asked % 3 !== 0)
  const answer = () => send(response, well ? 200 : 503, { ok: well, build: identity ?? build, pid: process.pid })
  if (health === 'slow') setTimeout(answer, healthDelayMs)
  else answer()
}

/** Work in flight: it counts as active, and holds a lease file while any is. */
async function work(response: ServerResponse, until: Promise<void>): Promise<void> {
  active += 1
  const file = join(leases, `${process.pid}.lease`)
  if (leases !== '') writeFileSync(file, '')
  await until
  active -= 1
  if (leases !== '' && active === 0) rmSync(file, { force: true })
  // Two files, read one after the other: a swap under a running application could mix two builds here.
  send(response, 200, { a: text('a.txt'), b: text('b.txt'), build, pid: process.pid })
}

async function change(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  ofTest = { ...ofTest, ...JSON.parse(body) }
  send(response, 200, knobs())
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://app')
  switch (url.pathname) {
    case '/healthz':
      return health(response)
    case '/active':
      return send(response, 200, { active })
    case '/hold': // in flight until somebody posts /release
      return void work(response, new Promise((resolve) => held.push(resolve)))
    case '/release':
      for (const release of held.splice(0)) release()
      held = []
      return send(response, 200, { released: true })
    case '/knobs':
      return void change(request, response)
    case '/page': {
      const ms = Number(url.searchParams.get('ms') ?? knobs().pageDelayMs)
      return void work(response, new Promise((resolve) => setTimeout(resolve, ms)))
    }
    default:
      return send(response, 404, { error: 'no such page' })
  }
})

load()
process.on('SIGHUP', () => {
  if (!knobs().deaf) load()
})
process.on('SIGTERM', () => {
  server.close()
  server.closeIdleConnections()
})
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`)
})

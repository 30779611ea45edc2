// Owns the web app that each node of the demo serves: a page of two files, read through `hot` at two moments of one request.
// A process of its own: node app.ts <root>. Tells its port to whoever started it.
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { systemClock as clock } from '#adapters/runtime/clock.ts'
import { CONTENT_MARK, PAGE_FILES } from './builds.ts'

/** The work of a request between its first file and its last: long enough that a swap under it shows. */
const WORK_MS = 100
/** Requests wait no longer than this, whoever forgot to end the maintenance. */
const HOLD_LIMIT_MS = 25_000
const HOLD_LOOK_MS = 10

const root = process.argv[2] ?? '.'
/** There while the node is out of service: written when the drain asks first, removed by the puller's `afterVerify` hook. */
const maintenanceFile = join(root, 'maintenance')
/** Requests in work, which a swap must not meet. Requests on hold have read nothing yet and do not count. */
let active = 0
let held = 0

function inMaintenance(): boolean {
  if (!existsSync(maintenanceFile)) return false
  const since = statSync(maintenanceFile, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return clock.now() - since < HOLD_LIMIT_MS
}

/** New requests queue here while the node is out of service, as they would before a load balancer: none is turned away. */
async function admitted(): Promise<void> {
  if (!inMaintenance()) return
  held += 1
  while (inMaintenance()) await clock.sleep(HOLD_LOOK_MS)
  held -= 1
}

interface Page {
  readonly build: string
  readonly html: string
}

async function render(workMs: number): Promise<Page> {
  const layout = await readFile(join(root, 'hot', PAGE_FILES.layout), 'utf8')
  if (workMs > 0) await clock.sleep(workMs)
  const content = await readFile(join(root, 'hot', PAGE_FILES.content), 'utf8')
  if (!layout.includes(CONTENT_MARK)) throw new Error('the layout has no place for the content')
  return { build: /data-layout="([^"]*)"/.exec(layout)?.[1] ?? '', html: layout.replace(CONTENT_MARK, content) }
}

async function servePage(response: ServerResponse): Promise<void> {
  await admitted()
  // No await between the look at the maintenance file and the count: an answer of `/drain` misses nobody.
  active += 1
  try {
    answer(response, 200, (await render(WORK_MS)).html)
  } finally {
    active -= 1
  }
}

async function serveHealth(response: ServerResponse): Promise<void> {
  const { build } = await render(0)
  response.setHeader('x-hotcold-build', build)
  answer(response, 200, 'healthy\n')
}

/** What the puller's drain reads. To be asked is to leave service: from now on new requests wait. */
function serveDrain(response: ServerResponse): void {
  writeFileSync(maintenanceFile, '')
  answer(response, 200, JSON.stringify({ active, held }))
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.statusCode = status
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
}

const server = createServer((request, response) => {
  const fail = (error: unknown): void => answer(response, 500, `${String(error)}\n`)
  if (request.url === '/') servePage(response).catch(fail)
  else if (request.url === '/healthz') serveHealth(response).catch(fail)
  else if (request.url === '/drain') serveDrain(response)
  else if (request.url === '/active') answer(response, 200, JSON.stringify({ active, held }))
  else answer(response, 404, 'not found\n')
})
// A kept connection is never closed from this side: closing one as a request arrives on it would fail that request.
server.keepAliveTimeout = 0
server.requestTimeout = 0
server.listen(0, '127.0.0.1', 1_024, () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))

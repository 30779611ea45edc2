// Owns the application of the load proof, a process of its own: a page of two files, read through `hot` at two moments of one request.
//
// node app.ts ROOT HOST PORT. It keeps no tree and no file open: every read goes through <root>/hot anew, so nothing but a drain keeps a
// swap out of a request.
import { lstatSync, readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { PAGE_FILES } from './page.ts'

const [root = '.', host = '127.0.0.1', port = '0'] = process.argv.slice(2)
const hot = join(root, 'hot')
const [first, second] = PAGE_FILES.map((name) => join(hot, name)) as [string, string]
/** Pages in work: what the puller's drain waits for. */
let active = 0

/** Changes whenever the link is moved: every move is a new link. */
function linkAt(): bigint {
  return lstatSync(hot, { bigint: true }).ctimeNs
}

function answer(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers })
  response.end(body)
}

/** The page; `x-met` tells whether the link moved while it was in work, whatever the two files say. */
function page(response: ServerResponse, workMs: number): void {
  const begun = linkAt()
  const layout = readFileSync(first, 'utf8')
  active += 1
  setTimeout(() => {
    try {
      const body = layout + readFileSync(second, 'utf8')
      answer(response, 200, body, { 'x-met': linkAt() === begun ? '0' : '1' })
    } catch (error) {
      answer(response, 500, String(error))
    } finally {
      active -= 1
    }
  }, workMs)
}

const server = createServer((request, response) => {
  const url = request.url ?? '/'
  try {
    if (url.startsWith('/page?ms=')) page(response, Number(url.slice('/page?ms='.length)))
    else if (url === '/active') answer(response, 200, JSON.stringify({ active }))
    else if (url === '/healthz')
      answer(response, 200, 'ok', { 'x-hotcold-build': readFileSync(join(hot, 'build'), 'utf8') })
    else answer(response, 404, 'no such page')
  } catch (error) {
    answer(response, 500, String(error))
  }
})
// A kept connection is never closed from this side: closing one just as a request arrives on it would fail that request.
server.keepAliveTimeout = 0
server.requestTimeout = 0
server.headersTimeout = 0
server.listen(Number(port), host, 1_024, () => process.send?.('listening'))
process.on('disconnect', () => process.exit(0))

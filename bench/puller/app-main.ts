// Owns the application of the rollback bench, as a process: each answer is read through <root>/hot and says which build it came from.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

const [root = '.'] = process.argv.slice(2)

const server = createServer((_request, response) => {
  try {
    const build = readFileSync(join(root, 'hot/BUILD'), 'utf8').trim()
    response.writeHead(200, { 'x-hotcold-build': build }).end(build)
  } catch (error) {
    response.writeHead(503).end(String(error))
  }
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`)
})

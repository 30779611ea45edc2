// Owns the embedded agent as a process of its own: `node adapters/consul/agent/main.ts [--host H] [--port N]`.
import { parseArgs } from 'node:util'
import { startAgent } from './agent.ts'

const { values } = parseArgs({
  options: { host: { type: 'string', default: '127.0.0.1' }, port: { type: 'string', default: '8500' } },
})
const agent = await startAgent({ host: values.host, port: Number(values.port) })
process.stdout.write(`${agent.url}\n`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void agent.close().then(() => process.exit(0)))
}

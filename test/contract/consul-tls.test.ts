// Owns TLS to Consul: a certificate that is not good is an error by name, and nothing is ever sent without one.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FleetError } from '#fleet/errors.ts'
import { connect } from '#test/support/connect.ts'
import { consulHeaders } from '#test/support/lying-consul.ts'
import { tmp } from '#test/support/tmp.ts'

const CERTIFY = `
set -e
key() { openssl req "$@" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes; }
key -x509 -keyout ca.key -out ca.pem -subj /CN=ca -days 2
key -keyout key.pem -out request.csr -subj /CN=consul
printf 'subjectAltName=IP:127.0.0.1' > names
openssl x509 -req -in request.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days "$1" -extfile names
`

/** An HTTPS server that says "no such key" with a certificate of an own authority, good for `days` from now. */
async function startSecure(t: TestContext, days: number) {
  const dir = await tmp(t, 'tls')
  execFileSync('sh', ['-c', CERTIFY, 'sh', String(days)], { cwd: dir, stdio: 'ignore' })
  const tls = { cert: await readFile(join(dir, 'cert.pem')), key: await readFile(join(dir, 'key.pem')) }
  let asked = 0
  const server = createServer(tls, (_request, response) => {
    asked += 1
    const { 'content-type': _type, ...headers } = consulHeaders(7)
    response.writeHead(404, headers).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `https://127.0.0.1:${port}`, ca: join(dir, 'ca.pem'), asked: () => asked }
}

function says(pattern: RegExp) {
  return (error: unknown) =>
    error instanceof FleetError && error.code === 'CONSUL_UNREACHABLE' && pattern.test(error.message)
}

test('A26: with the right authority Consul is spoken to, given as a file or as its text', async (t: TestContext) => {
  const secure = await startSecure(t, 2)
  for (const ca of [secure.ca, await readFile(secure.ca, 'utf8')]) {
    const { client, signal } = connect(t, { url: secure.url, ca })
    assert.equal((await client.get('k', signal)).value, null)
  }
  assert.equal(secure.asked(), 2)
})

test('A26: an expired certificate is said to be expired, and nothing is sent', async (t: TestContext) => {
  const secure = await startSecure(t, -1)
  const { client, signal } = connect(t, { url: secure.url, ca: secure.ca })
  await assert.rejects(
    client.get('k', signal),
    says(/certificate of Consul at .* is not accepted: certificate has expired/),
  )
  assert.equal(secure.asked(), 0)
})

test('A26: a certificate of an unknown authority is refused, and nothing is sent', async (t: TestContext) => {
  const secure = await startSecure(t, 2)
  const { client, signal } = connect(t, { url: secure.url })
  await assert.rejects(client.get('k', signal), says(/certificate of Consul at .* is not accepted/))
  assert.equal(secure.asked(), 0)
})

test('A26: a file of TLS that cannot be read is a fault of the config', (t: TestContext) => {
  const options = { url: 'https://127.0.0.1:1', ca: '/nowhere/ca.pem' }
  assert.throws(() => connect(t, options), { code: 'CONFIG_INVALID', message: /\/nowhere\/ca\.pem/ })
})

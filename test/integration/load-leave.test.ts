// Owns the proof that the hook which takes a node out of HAProxy waits for what is on its way: HAProxy's answers are the test's, for no real one can be told when to be slow.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { end, ended, hasEnded, mortal } from '#test/support/child.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'

const LEAVE = join(import.meta.dirname, '../load/leave.ts')

interface World {
  /** Requests that HAProxy has at the node. */
  sent: number
  /** Pages that the application has in work. */
  inWork: number
  readonly commands: string[]
  /** How often the application was asked. */
  asked: number
}

/** Starts the hook against an admin socket and an application that answer what the test says. */
async function leaving(t: TestContext, world: World, refusal = '') {
  const socket = join(await tmp(t, 'leave'), 'admin.sock')
  const admin = createServer((connection) => {
    connection.once('data', (bytes) => {
      const command = String(bytes).trim()
      world.commands.push(command)
      const stat = `# pxname,svname,scur\nnodes,node-1,${world.sent}\nnodes,node-2,99\nnodes,BACKEND,100\n`
      connection.end(command === 'show stat' ? stat : `${refusal}\n`)
    })
  })
  const app = createHttpServer((_request, response) => {
    world.asked += 1
    response.end(JSON.stringify({ active: world.inWork }))
  })
  await new Promise<void>((resolve) => admin.listen(socket, resolve))
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    admin.close()
    app.close()
    app.closeAllConnections()
  })
  const url = `http://127.0.0.1:${(app.address() as AddressInfo).port}/active`
  const child = spawn(...mortal(process.execPath, LEAVE, socket, 'nodes/node-1', url), { stdio: 'ignore' })
  t.after(() => end(child, 'SIGKILL'))
  return child
}

test('a request that HAProxy has not sent yet is waited for, those in work are not', async (t: TestContext) => {
  const world: World = { sent: 3, inWork: 2, commands: [], asked: 0 }
  const hook = await leaving(t, world)
  await until('it looked more than once', () => world.asked >= 3)
  assert.ok(!hasEnded(hook), 'one request is still on its way')
  assert.equal(world.commands[0], 'set server nodes/node-1 state drain', 'no new ones from the first moment on')
  world.inWork = 3
  assert.equal(await ended(hook), 0)
})

test('a node without requests is left at once', async (t: TestContext) => {
  const world: World = { sent: 0, inWork: 0, commands: [], asked: 0 }
  assert.equal(await ended(await leaving(t, world)), 0)
  assert.equal(world.asked, 0)
})

test('a command that HAProxy refuses fails the hook', async (t: TestContext) => {
  const world: World = { sent: 0, inWork: 0, commands: [], asked: 0 }
  assert.equal(await ended(await leaving(t, world, 'No such server.')), 1)
})

// Owns the hook that takes a node out of HAProxy: node leave.ts SOCKET BACKEND/SERVER ACTIVE_URL. It ends when nothing is on its way any more.
//
// A request that HAProxy has given to the node but not sent yet (its connection is being made) is in no application's count: an
// application that says "nothing in work" would be believed, and the request would meet the swap. So after `state drain`, which stops
// new ones, it waits until the application has in work as many pages as HAProxy has requests at the node. The count of HAProxy is read
// first: it can only fall, so if the later one of the application is not lower, every one of those requests has arrived.
import { get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { askAdmin } from './admin.ts'
import { isOf, rowsOf } from './stat.ts'

const LOOK_MS = 10

async function requestsAt(socket: string, server: string): Promise<number> {
  const row = rowsOf(await askAdmin(socket, 'show stat')).find(isOf(server))
  const count = Number(row?.scur)
  if (row?.scur === undefined || !Number.isInteger(count)) throw new Error(`HAProxy counts no requests at ${server}`)
  return count
}

async function inWork(url: string): Promise<number> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { agent: false }, resolve).on('error', reject)
  })
  const { active } = JSON.parse(await text(response)) as { active: number }
  return active
}

const [socket = '', server = '', url = ''] = process.argv.slice(2)
const said = await askAdmin(socket, `set server ${server} state drain`)
if (said !== '') throw new Error(said)
for (;;) {
  const sent = await requestsAt(socket, server)
  if (sent === 0 || (await inWork(url)) >= sent) break
  await delay(LOOK_MS)
}

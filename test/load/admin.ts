// Owns talking to HAProxy's admin socket; as a program it says one command, like the hook that puts a node back: node admin.ts SOCKET COMMAND.
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

/** Says one command to the socket at `path`; what HAProxy answers. @throws Error when nobody listens there */
export async function askAdmin(path: string, command: string): Promise<string> {
  const socket = connect(path)
  // The socket stays open until the answer is complete: HAProxy drops what is not waited for.
  socket.write(`${command}\n`)
  return (await text(socket)).trim()
}

if (import.meta.main) {
  const [path = '', command = ''] = process.argv.slice(2)
  // `set server` answers nothing when it did what it was told.
  const said = await askAdmin(path, command)
  if (said !== '') {
    process.stderr.write(`${said}\n`)
    process.exit(1)
  }
}

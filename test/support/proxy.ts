// Owns a TCP proxy that breaks connections in every way a network can.
import { connect as connectTo, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** What the proxy does to bytes of the upstream's answers (and, where it says so, of requests). */
export type Fault =
  /** Everything passes. */
  | { readonly kind: 'none' }
  /** Connections are taken and stay open; from now on not one byte passes in either direction. */
  | { readonly kind: 'mute' }
  /** Connections are reset: the open ones at once, new ones when they come. */
  | { readonly kind: 'reset' }
  /** Requests arrive, answers are dropped and the connection is reset: the reply is lost after the deed. */
  | { readonly kind: 'loseReply' }
  /** Each connection is closed after this many bytes of answers. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** Each answer byte at this place of its connection is flipped. */
  | { readonly kind: 'corrupt'; readonly atByte: number }
  | { readonly kind: 'delay'; readonly ms: number }

export interface FaultProxy {
  readonly url: string
  readonly port: number
  /** Holds for open connections too, from their next byte on. */
  set(fault: Fault): void
  /** Connections open now, and all there ever were. */
  readonly open: number
  readonly accepted: number
}

/** A proxy on a free port of 127.0.0.1 before `upstream` (a URL or `host:port`). Closed by `t.after`. */
export async function startProxy(t: Pick<TestContext, 'after'>, upstream: string): Promise<FaultProxy> {
  const { hostname, port, protocol } = new URL(upstream.includes('://') ? upstream : `tcp://${upstream}`)
  const sockets = new Set<Socket>()
  let fault: Fault = { kind: 'none' }
  let accepted = 0
  const upPort = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)

  const server: Server = createServer((down) => {
    accepted += 1
    if (fault.kind === 'reset') return void down.on('error', () => undefined).resetAndDestroy()
    const up = connectTo(upPort, hostname)
    sockets.add(down)
    let answered = 0
    let last: Promise<void> = Promise.resolve()
    const end = () => {
      sockets.delete(down)
      down.destroy()
      up.destroy()
    }
    for (const socket of [down, up]) socket.on('error', end)
    down.on('close', end)
    up.on('close', () => void last.then(() => (fault.kind === 'mute' ? undefined : down.end())))
    down.on('data', (chunk) => {
      if (fault.kind !== 'mute') up.write(chunk)
    })
    up.on('data', (chunk: Buffer) => {
      const from = answered
      answered += chunk.byteLength
      up.pause()
      last = pass(chunk, from, down, () => fault).then(() => void up.resume())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  const own = typeof address === 'object' && address !== null ? address.port : 0
  return {
    port: own,
    url: `http://127.0.0.1:${own}`,
    set(next) {
      fault = next
      if (next.kind === 'reset') for (const socket of sockets) socket.resetAndDestroy()
    },
    get open() {
      return sockets.size
    },
    get accepted() {
      return accepted
    },
  }
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Hands one piece of an answer on, as the fault in force allows. @param from place of its first byte in the connection's answers */
async function pass(chunk: Buffer, from: number, down: Socket, fault: () => Fault): Promise<void> {
  const now = fault()
  switch (now.kind) {
    case 'none':
      down.write(chunk)
      return
    case 'mute':
      return
    case 'reset':
    case 'loseReply':
      down.resetAndDestroy()
      return
    case 'cut': {
      const left = now.afterBytes - from
      if (left > 0) down.write(chunk.subarray(0, left))
      if (chunk.byteLength >= left) down.end()
      return
    }
    case 'throttle': {
      const step = Math.max(1, Math.ceil(now.bytesPerSecond / 20))
      for (let at = 0; at < chunk.byteLength && !down.destroyed; at += step) {
        down.write(chunk.subarray(at, at + step))
        await wait(50)
      }
      return
    }
    case 'corrupt': {
      const at = now.atByte - from
      if (at >= 0 && at < chunk.byteLength) chunk[at] = (chunk[at] ?? 0) ^ 0xff
      down.write(chunk)
      return
    }
    case 'delay':
      await wait(now.ms)
      down.write(chunk)
      return
  }
}

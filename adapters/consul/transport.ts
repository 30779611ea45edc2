// Owns the `consul` package as our transport: how it is built, and what is hung into it so that every request settles.
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import type http from 'node:http'
import https from 'node:https'
import Consul from 'consul'
import { FleetError } from '#fleet/errors.ts'

// Not imported: an import reads every export of node:http, one of which loads a whole WebSocket (docs/decisions/0013).
const { Agent, request: overHttp } = process.getBuiltinModule('node:http')

/** How to reach Consul. `ca`, `cert` and `key` are PEM text or the path of a PEM file. */
export interface ConsulOptions {
  readonly url: string
  readonly token?: string
  /** Read when first needed and again whenever it changes; wins over `token`. */
  readonly tokenFile?: string
  /** Default `hotcold/v1`. */
  readonly prefix?: string
  /** How long a blocking query may stay quiet, default 60 s. */
  readonly waitMs?: number
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** A response as papi hands it over: `body` is decoded by its content type, or the bytes. */
export interface Response {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body?: unknown
}

/** What papi listens to for a cancel; `includeResponse` makes every call resolve to `[response, …]`, so that a lost CAS is seen. */
export class Context extends EventEmitter {
  readonly includeResponse = true
  /** papi looks at this before it sends, because a cancel may come while a token is still being read. */
  canceled = false

  cancel(): void {
    this.canceled = true
    this.emit('cancel')
  }
}

export type Call = Promise<readonly [Response, ...unknown[]]>
interface Common {
  readonly ctx: Context
}
interface ReadQuery extends Common {
  readonly key: string
  readonly buffer?: boolean
  readonly recurse?: boolean
  readonly stale?: boolean
  readonly consistent?: boolean
  readonly index?: string
  readonly wait?: string
}
interface WriteQuery extends Common {
  readonly key: string
  readonly value: Buffer
  readonly cas?: number
  readonly flags?: number
  readonly acquire?: string
  readonly release?: string
}

/** What we call of the package. Its own types know neither `ctx` nor blocking queries on keys, so this says it. */
export interface ConsulPackage {
  readonly kv: {
    get(query: ReadQuery): Call
    keys(query: Common & { readonly key: string; readonly separator?: string; readonly consistent?: boolean }): Call
    set(query: WriteQuery): Call
    del(query: Common & { readonly key: string; readonly cas?: number }): Call
  }
  readonly session: {
    create(
      query: Common & {
        readonly name: string
        readonly ttl: string
        readonly lockdelay: string
        readonly behavior: string
      },
    ): Call
    renew(query: Common & { readonly id: string }): Call
    destroy(query: Common & { readonly id: string }): Call
    info(query: Common & { readonly id: string }): Call
  }
  readonly transaction: { create(operations: readonly object[], options: Common): Call }
  readonly agent: {
    readonly service: {
      maintenance(query: Common & { readonly id: string; readonly enable: boolean; readonly reason?: string }): Call
    }
  }
  destroy(): void
}

/** papi's request in flight, as its extensions see it. */
interface PapiRequest {
  readonly opts: { readonly name?: string; readonly body?: Record<string, unknown> }
  req: { hostname?: string; headers: Record<string, unknown> }
  transport: { request(options: http.RequestOptions): http.ClientRequest }
  res?: Response
  err?: Error
}
type Extension = (request: PapiRequest, next: (error?: Error) => void) => void
interface Extensible {
  _ext(event: 'onCreate' | 'onRequest' | 'onResponse', extension: Extension): void
}

/** The answer ended before it was complete. Node tells the response, papi only listens to the request: without this it waits for ever. */
export class BrokenAnswer extends Error {
  override readonly name = 'BrokenAnswer'
}

/** No answer of ours is near this: 10,000 statuses are 4 MB. A server that sends for ever must not fill the memory. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** A half-open connection is noticed by the kernel even where no deadline runs. */
const KEEP_ALIVE_MS = 15_000

/** Wraps http(s).request so that an answer that breaks off, or never ends, fails its request at once. */
function guarded(send: typeof http.request): PapiRequest['transport'] {
  return {
    request(options) {
      const request = send(options)
      request.on('response', (response) => {
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.byteLength
          if (bytes > MAX_ANSWER_BYTES) response.destroy()
        })
        response.once('close', () => {
          if (!response.complete) request.emit('error', new BrokenAnswer(`the answer broke off after ${bytes} bytes`))
        })
      })
      return request
    },
  }
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * Node decodes any text as base64 and drops what does not fit: checked here, before the package decodes it. The package also asks each item
 * for its own keys by the item's own method, and what it throws there nobody can catch: what has none is refused here too.
 */
function badItem(body: unknown): boolean {
  if (!Array.isArray(body)) return false
  return body.some((item: unknown) => {
    if (item === null) return true
    if (typeof item !== 'object') return false
    return (
      Object.hasOwn(item, 'hasOwnProperty') ||
      ('Value' in item && typeof item.Value === 'string' && !BASE64.test(item.Value))
    )
  })
}

function pem(textOrPath: string | undefined): string | undefined {
  if (textOrPath === undefined || textOrPath.includes('-----BEGIN')) return textOrPath
  try {
    return readFileSync(textOrPath, 'utf8')
  } catch (cause) {
    throw new FleetError('CONFIG_INVALID', `the file ${textOrPath} for TLS to Consul cannot be read`, { cause })
  }
}

/** The token in force: a file is read again when it changes, because tokens are rotated under running programs. */
function tokenSource(options: ConsulOptions): () => Promise<string | null> {
  const file = options.tokenFile
  if (file === undefined) return async () => options.token ?? null
  let mark = ''
  let token: string | null = null
  return async () => {
    try {
      const { mtimeMs, ino, size } = await stat(file)
      const now = `${mtimeMs} ${ino} ${size}`
      if (now !== mark) {
        token = (await readFile(file, 'utf8')).trim()
        mark = now
      }
    } catch (cause) {
      // A file that is away for a moment (it is being replaced) does not take the last good token with it.
      if (token === null) throw new FleetError('CONSUL_DENIED', `the token file ${file} cannot be read`, { cause })
    }
    return token
  }
}

/** Builds the package's client with our guards inside. @throws FleetError `CONFIG_INVALID` */
export function openTransport(options: ConsulOptions): ConsulPackage {
  if (!URL.canParse(options.url) || !/^https?:$/.test(new URL(options.url).protocol)) {
    throw new FleetError('CONFIG_INVALID', `the address of Consul is not an http or https URL: ${options.url}`)
  }
  const secure = options.url.startsWith('https:')
  const tls = { ca: pem(options.ca), cert: pem(options.cert), key: pem(options.key) }
  const keepAlive = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: 2 }
  const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined))
  const agent = secure ? new https.Agent({ ...keepAlive, ...given }) : new Agent(keepAlive)
  const settings = { baseUrl: `${options.url.replace(/\/+$/, '')}/v1`, agent }
  const consul = new Consul(settings) as unknown as ConsulPackage & Extensible
  const transport = guarded(secure ? https.request : overHttp)
  const token = tokenSource(options)

  consul._ext('onCreate', (request, next) => {
    // The package drops `nodechecks`; without it the gossip health of a host could end its sessions.
    if (request.opts.name === 'session.create' && request.opts.body) request.opts.body.NodeChecks = []
    next()
  })
  consul._ext('onRequest', (request, next) => {
    request.transport = transport
    // papi hands over the brackets of an IPv6 address, which no lookup understands.
    if (request.req.hostname !== undefined) request.req.hostname = request.req.hostname.replace(/^\[|\]$/g, '')
    token().then((value) => {
      if (value !== null && value !== '') request.req.headers['x-consul-token'] = value
      next()
    }, next)
  })
  consul._ext('onResponse', (request, next) => {
    // The package takes a 404 for "no such key" before it asks whether the answer broke off.
    if (request.err instanceof BrokenAnswer) delete request.res
    if (request.err === undefined && badItem(request.res?.body))
      request.err = new SyntaxError("an entry is none of Consul's")
    next()
  })
  return consul
}

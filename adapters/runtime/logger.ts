// Owns the log lines of both programs: pino JSON, errors with code and causes, and nothing secret in them.
import pino from 'pino'
import { describeError, FleetError } from '#fleet/errors.ts'
import type { Facts, Logger } from '#fleet/ports.ts'

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LoggerOptions {
  /** Lines below it are not written; `info` when absent. */
  readonly level?: LogLevel
  /** Program that speaks, field `name` of each line. */
  readonly name: string
  /** File descriptor, 1 when absent. A command whose results go to stdout logs to 2. */
  readonly fd?: number
  /** Takes the lines instead of the descriptor: tests read them here. */
  readonly write?: (line: string) => void
}

const HIDDEN = '[hidden]'
/** Field names whose values are never written, at any depth. A `tokenFile` is a path and is written. */
const SECRET_NAME = /(token|secret|password|passphrase|authorization|credentials?|access_?key|private_?key)$/i
/** `user:password@` in an address. */
const SECRET_IN_URL = /(\b[a-z][a-z0-9+.-]*:\/\/)[^/@\s]+@/gi
/** Query parameters that carry a secret: Consul's `token`, a presigned address' signature. */
const SECRET_IN_QUERY = /([?&](?:token|x-amz-(?:signature|credential|security-token))=)[^&\s"]+/gi
const MAX_DEPTH = 6

function hideInText(text: string): string {
  return text.replace(SECRET_IN_URL, `$1${HIDDEN}@`).replace(SECRET_IN_QUERY, `$1${HIDDEN}`)
}

function readableError(error: Error): Record<string, unknown> {
  const facts = { message: hideInText(describeError(error)) }
  if (error instanceof FleetError) return { code: error.code, ...facts }
  // A stack is for what nobody foresaw: errors of ours say enough by code and causes.
  return { ...facts, ...(error.stack !== undefined && { stack: hideInText(error.stack) }) }
}

function presentable(name: string, value: unknown, depth: number): unknown {
  if (SECRET_NAME.test(name) && value !== null && value !== undefined) return HIDDEN
  if (typeof value === 'string') return hideInText(value)
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error) return readableError(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof URL) return hideInText(value.href)
  if (value instanceof Date) return value
  if (depth >= MAX_DEPTH) return '[deep]'
  if (Array.isArray(value)) return value.map((item) => presentable('', item, depth + 1))
  return presentableFacts(value, depth + 1)
}

function presentableFacts(facts: object, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(facts)) shown[name] = presentable(name, value, depth)
  return shown
}

/** A logger of one JSON object a line: `level`, `time` (ISO 8601), `name`, `msg` and the facts. */
export function createLogger(options: LoggerOptions): Logger {
  const { write } = options
  // Synchronous: a line that says why the process ends must not die with it.
  const destination = write ? { write } : pino.destination({ fd: options.fd ?? 1, sync: true })
  const log = pino(
    {
      level: options.level ?? 'info',
      base: { name: options.name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  const line =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, facts: Facts = {}): void => {
      if (log.isLevelEnabled(level)) log[level](presentableFacts(facts, 0), message)
    }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

/** Says nothing: for a command that has its own way to speak, and for tests. */
export const silentLogger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

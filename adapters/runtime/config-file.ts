// Owns reading a YAML config: expansion of ${…}, validation, and complaints that name the line and the likely key.
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { type Document, isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import { describeError, FleetError } from '#fleet/errors.ts'
import { closest } from './closest.ts'

/** What `${…}` may name: `${hostname}`, and variables of the environment as `${CONSUL_URL}`. */
export interface ConfigWorld {
  readonly hostname: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** One value's way down from the root of the document. */
type Path = readonly (string | number)[]

const MAX_COMPLAINTS = 5
/** Characters of one complaint: it may quote a value of any length. */
const MAX_COMPLAINT = 500

/**
 * Reads and validates a config file. Objects of the schema are `v.strictObject`: an unknown key is an error.
 * @throws FleetError `CONFIG_MISSING` when there is no such file · `CONFIG_INVALID` with `file:line: what` for each complaint
 */
export function readConfigFile<schema extends v.GenericSchema>(
  path: string,
  schema: schema,
  world: ConfigWorld,
): v.InferOutput<schema> {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    if (missing) throw new FleetError('CONFIG_MISSING', `there is no config file ${path}`)
    throw new FleetError('CONFIG_INVALID', `${path} cannot be read`, { cause })
  }
  return parseConfig(textOf(bytes, path), path, schema, world)
}

// Fatal: bytes that are no UTF-8 must not become a token or a path by way of replacement characters.
const utf8 = new TextDecoder('utf-8', { fatal: true })

function textOf(bytes: Uint8Array, path: string): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new FleetError('CONFIG_INVALID', `${path} is not UTF-8`, { cause })
  }
}

/** As `readConfigFile`, from text already read. @param path the name that complaints carry */
export function parseConfig<schema extends v.GenericSchema>(
  text: string,
  path: string,
  schema: schema,
  world: ConfigWorld,
): v.InferOutput<schema> {
  const lines = new LineCounter()
  const document = unlessItThrows(path, () =>
    parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' }),
  )
  const lineAt = (offset: number): string => `${path}:${lines.linePos(offset).line}`

  const broken = document.errors[0]
  if (broken !== undefined) throw invalid([`${lineAt(broken.pos[0])}: ${worded(broken.message)}`])
  expandVariables(document, world, lineAt)

  const result = v.safeParse(schema, unlessItThrows(path, () => document.toJS() as unknown) ?? {})
  if (result.success) return result.output
  const where = (at: Path): string => {
    const offset = offsetOf(document, at)
    return offset === null ? path : lineAt(offset)
  }
  throw invalid(result.issues.flatMap(deepest).map((issue) => complaint(issue, schema, where)))
}

/** The parser throws for what nests too deeply, and only when values are made for aliases that lead nowhere or grow without bound. */
function unlessItThrows<result>(path: string, work: () => result): result {
  try {
    return work()
  } catch (cause) {
    throw new FleetError('CONFIG_INVALID', `${path}: ${worded(describeError(cause))}`, { cause })
  }
}

/** What the parser says, in our words where it speaks of itself. */
function worded(message: string): string {
  return /call stack/i.test(message) ? 'it nests too deeply' : lowerFirst(message)
}

function invalid(complaints: readonly string[]): FleetError {
  const cut = (text: string) => (text.length > MAX_COMPLAINT ? `${text.slice(0, MAX_COMPLAINT)}…` : text)
  const shown = complaints.slice(0, MAX_COMPLAINTS).map(cut).join('; ')
  const more = complaints.length - MAX_COMPLAINTS
  return new FleetError('CONFIG_INVALID', more > 0 ? `${shown}; and ${more} more` : shown)
}

/** `$${x}` stands for a literal `${x}`. A variable that is not set is an error: an empty address would be found much later. */
function expandVariables(document: Document, world: ConfigWorld, lineAt: (offset: number) => string): void {
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string') return
      node.value = node.value.replace(/\$(\$\{)|\$\{([^}]*)\}/g, (_all, escaped: string | undefined, name: string) => {
        if (escaped !== undefined) return escaped
        // Own: `constructor` is a name that every environment inherits.
        const set = Object.hasOwn(world.env, name) ? world.env[name] : undefined
        const value = name === 'hostname' ? world.hostname : set
        if (value === undefined) throw invalid([`${lineAt(node.range?.[0] ?? 0)}: \${${name}} is not set`])
        return value
      })
    },
  })
}

/** A union complains about every member: what the member that fits furthest says is what the writer meant. */
function deepest(issue: v.BaseIssue<unknown>): readonly v.BaseIssue<unknown>[] {
  const inner = (issue.issues ?? []).flatMap(deepest)
  const depth = Math.max(0, ...inner.map((one) => one.path?.length ?? 0))
  if (inner.length === 0 || depth <= (issue.path?.length ?? 0)) return [issue]
  return inner.filter((one) => one.path?.length === depth).slice(0, 1)
}

function complaint(issue: v.BaseIssue<unknown>, schema: v.GenericSchema, where: (at: Path) => string): string {
  const path = pathOf(issue)
  const parent = path.slice(0, -1)
  const key = String(path.at(-1) ?? '')
  const isKeyIssue = issue.type === 'strict_object' && path.length > 0
  if (isKeyIssue && issue.expected === 'never') {
    const guess = closest(key, keysAt(schema, parent))
    return `${where(path)}: unknown key "${key}"${guess === null ? '' : `, did you mean "${guess}"?`}`
  }
  if (isKeyIssue && issue.received === 'undefined') {
    return `${where(parent)}: key "${[...parent, key].join('.')}" is missing`
  }
  return `${where(path)}: ${path.length === 0 ? 'the file' : `"${path.join('.')}"`}: ${lowerFirst(issue.message)}`
}

function pathOf(issue: v.BaseIssue<unknown>): Path {
  return (issue.path ?? []).map((item) => (typeof item.key === 'number' ? item.key : String(item.key)))
}

/** Where in the text a path stands: at its key, else at the nearest thing above it. */
function offsetOf(document: Document, path: Path): number | null {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true)
    const name = path[length - 1]
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(name))
      if (pair !== undefined && isScalar(pair.key)) return pair.key.range?.[0] ?? null
    }
    const node = document.getIn(path.slice(0, length), true)
    if (isScalar(node) || isMap(node)) return node.range?.[0] ?? null
  }
  return null
}

/** The keys that a schema knows at a path: what a misspelt one is compared with. */
function keysAt(schema: unknown, path: Path): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return []
  if ('wrapped' in schema) return keysAt(schema.wrapped, path)
  if ('options' in schema && Array.isArray(schema.options)) {
    return schema.options.flatMap((option: unknown) => keysAt(option, path))
  }
  const [head, ...rest] = path
  if ('entries' in schema && typeof schema.entries === 'object' && schema.entries !== null) {
    if (head === undefined) return Object.keys(schema.entries)
    return keysAt(Object.getOwnPropertyDescriptor(schema.entries, head)?.value, rest)
  }
  if (head !== undefined && 'item' in schema) return keysAt(schema.item, rest)
  if (head !== undefined && 'value' in schema) return keysAt(schema.value, rest)
  return []
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

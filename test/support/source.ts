// Owns reading our own source as text: which files there are, what each imports, and its code without comments and strings.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The folder of the checkout, with a slash at the end. */
export const PROJECT = new URL('../..', import.meta.url).pathname

export interface Import {
  /** As written: `#fleet/target.ts`, `./x.ts`, `node:fs`, `valibot`. */
  readonly from: string
  /** Erased before it runs. */
  readonly typeOnly: boolean
}

export interface Source {
  /** Relative to the project, `fleet/target.ts`. */
  readonly path: string
  readonly text: string
  /** The text with the insides of comments and plain strings blanked: what a word search may trust. Lines stay where they are. */
  readonly code: string
  readonly imports: readonly Import[]
}

export const FOLDERS = ['fleet', 'schedule', 'puller', 'conductor', 'adapters', 'test', 'bench', 'dashboards']

/** Files of the project that match, `/`-separated and sorted, whatever git knows of them. */
export function filesMatching(...patterns: readonly string[]): readonly string[] {
  const skip = (name: string): boolean => name === 'node_modules' || name === '.git' || name === '.cache'
  return globSync([...patterns], { cwd: PROJECT, exclude: skip }).toSorted()
}

export function readText(path: string): string {
  return readFileSync(join(PROJECT, path), 'utf8')
}

let read: readonly Source[] | null = null

/** Every TypeScript file of the project, read once. */
export function sources(): readonly Source[] {
  read ??= readSources()
  return read
}

function readSources(): readonly Source[] {
  return filesMatching(`{${FOLDERS.join(',')}}/**/*.ts`).map((path) => {
    const text = readText(path)
    return { path, text, code: codeOf(text), imports: importsOf(text) }
  })
}

/** The sources that are shipped: not the tests, nor what prints dashboards. */
export function production(): readonly Source[] {
  return sources().filter(({ path }) => !/^(test|bench|dashboards)\//.test(path))
}

const IMPORT =
  /^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm

function importsOf(text: string): readonly Import[] {
  const code = codeOf(text, { keepStrings: true })
  return [...code.matchAll(IMPORT)].map((match) => ({
    from: match[2] ?? match[3] ?? '',
    typeOnly: match[1] !== undefined,
  }))
}

const BLANK = /[^\n]/g
/** What ends where it begins: comments, plain strings, and a regular expression where one may stand. */
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<=[(,=:[!&|?{};\n]\s*|\breturn\s)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y

/** Blanks what is not code. A template keeps its `${…}` parts, which are code, and may hold templates again. */
export function codeOf(text: string, options: { keepStrings?: boolean } = {}): string {
  let out = ''
  let at = 0
  /** Depth of braces at which each open template goes on. */
  const templates: number[] = []
  let depth = 0
  const templateText = (): void => {
    const end = /\\[\s\S]|`|\$\{/g
    for (end.lastIndex = at; ; ) {
      const match = end.exec(text)
      const stop = match === null ? text.length : end.lastIndex
      if (match?.[0].startsWith('\\')) continue
      out += text.slice(at, stop - (match?.[0].length ?? 0)).replace(BLANK, ' ') + (match?.[0] ?? '')
      at = stop
      if (match?.[0] === '${') templates.push(depth)
      return
    }
  }
  while (at < text.length) {
    TOKEN.lastIndex = at
    const token = TOKEN.exec(text)?.[0]
    if (token !== undefined) {
      const isComment = token.startsWith('//') || token.startsWith('/*')
      const kept = options.keepStrings === true && !isComment
      out += kept ? token : isComment ? token.replace(BLANK, ' ') : blankInside(token)
      at += token.length
      continue
    }
    const letter = text[at] ?? ''
    out += letter
    at += 1
    if (letter === '{') depth += 1
    if (letter === '`') templateText()
    if (letter === '}' && templates.at(-1) === depth) {
      templates.pop()
      templateText()
    } else if (letter === '}') depth -= 1
  }
  return out
}

function blankInside(token: string): string {
  return `${token[0]}${token.slice(1, -1).replace(BLANK, ' ')}${token.at(-1)}`
}

// Owns what a process really asked of the disk: its system calls by strace, in their order, with the paths that they meant.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { end, hasEnded, mortal } from './child.ts'
import { tmp } from './tmp.ts'
import { until } from './until.ts'

/** One system call that succeeded. Calls of two threads may overlap: one came before another when its `ended` is below the other's `began`. */
export interface Call {
  readonly name: string
  /** Absolute, through no descriptor: what was changed, the new name last. Of a symbolic link its name alone. */
  readonly paths: readonly string[]
  /** The arguments as strace prints them. */
  readonly args: string
  /** Line of the trace. */
  readonly began: number
  readonly ended: number
}

const SYNCS = ['fsync', 'fdatasync', 'syncfs']
const CHANGES = [
  ...['creat', 'write', 'pwrite64', 'writev', 'pwritev', 'truncate', 'ftruncate', 'fallocate', 'copy_file_range'],
  ...['rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir', 'mkdir', 'mkdirat', 'link', 'linkat'],
  ...['symlink', 'symlinkat', 'chmod', 'fchmod', 'fchmodat', 'chown', 'lchown', 'fchown', 'fchownat', 'utimensat'],
]
const BIRTHS = ['clone', 'clone3', 'fork', 'vfork']
const TRACED = ['open', 'openat', ...SYNCS, ...CHANGES, ...BIRTHS]

/** Whether a call changes the disk: creating or emptying a file by opening it counts. */
export function isChange({ name, args }: Call): boolean {
  return CHANGES.includes(name) || (/^open/.test(name) && /O_CREAT|O_TRUNC/.test(args))
}

export const isRename = ({ name }: Call): boolean => name.startsWith('rename')

/** A whole file or directory made durable; not the volume. */
export const isSync = ({ name }: Call): boolean => name === 'fsync' || name === 'fdatasync'

const options = (file: string) => ['-f', '-y', '-s', '0', '-o', file, '-e', `trace=${TRACED.join(',')}`]

/** Runs a command to its end, its children and threads with it. @returns its calls, exit code and what it printed */
export async function traced(
  t: TestContext,
  argv: readonly string[],
): Promise<{ calls: readonly Call[]; code: number | null; printed: string }> {
  const file = join(await tmp(t, 'strace'), 'trace')
  const child = spawn(...mortal('strace', '--seccomp-bpf', ...options(file), ...argv), {
    // Work of the pool on one thread, so that its calls come one after the other.
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => end(child, 'SIGKILL'))
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { calls: callsIn(readFileSync(file, 'utf8')), code, printed }
}

/** Looks over the shoulder of a running process from now on. @returns what ends that and gives its calls */
export async function attach(t: TestContext, pid: number): Promise<() => Promise<readonly Call[]>> {
  const file = join(await tmp(t, 'strace'), 'trace')
  const child = spawn(...mortal('strace', ...options(file), '-p', String(pid)), { stdio: ['ignore', 'ignore', 'pipe'] })
  t.after(() => end(child, 'SIGKILL'))
  let said = ''
  // Read to its end: it tells of every thread that comes, and would die of a pipe that nobody reads.
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until('strace is attached', () => /attached/.test(said) || hasEnded(child))
  if (hasEnded(child)) throw new Error(`strace: ${said}`)
  return async () => {
    await end(child, 'SIGINT')
    return callsIn(readFileSync(file, 'utf8'))
  }
}

interface Open {
  readonly name: string
  readonly args: string
  readonly strings: readonly string[]
  readonly began: number
}

/** The calls of a trace that succeeded, in the order of their ends. */
export function callsIn(trace: string): readonly Call[] {
  const lines = trace.split('\n').flatMap((line) => {
    const match = /^(\d+) +(.*)$/.exec(line)
    return match === null ? [] : [{ pid: match[1] ?? '', text: match[2] ?? '' }]
  })
  const processOf = processesIn(lines)
  const descriptors = new Map<string, Map<string, string>>()
  const unfinished = new Map<string, Open>()
  const calls: Call[] = []
  for (const [at, { pid, text }] of lines.entries()) {
    const table = descriptors.getOrInsertComputed(processOf(pid), () => new Map())
    const begun = /^(\w+)\((.*)$/.exec(text)
    if (begun !== null) {
      const [, name = '', args = ''] = begun
      unfinished.set(pid, { name, args, strings: stringsIn(args, table), began: at })
      if (args.endsWith('<unfinished ...>')) continue
    } else if (!text.startsWith('<... ')) continue
    const open = unfinished.get(pid)
    const result = / = (-?\d+)(?:<(.*)>)?(?:\(deleted\))?(?: |$)/.exec(text)
    unfinished.delete(pid)
    if (open === undefined || result === null || Number(result[1]) < 0) continue
    const [, fd = '', path] = result
    if (path !== undefined) table.set(fd, path)
    calls.push({ ...open, paths: pathsOf(open, path), ended: at })
  }
  return calls
}

/** Threads share their descriptors, processes do not. */
function processesIn(lines: readonly { readonly pid: string; readonly text: string }[]): (pid: string) => string {
  const parents = new Map<string, string>()
  const begun = new Map<string, string>()
  for (const { pid, text } of lines) {
    if (/^(clone|clone3|fork|vfork)\(/.test(text)) begun.set(pid, text)
    const born = /(?:^|<\.\.\. )(?:clone|clone3|fork|vfork)(?:\(| resumed>).* = (\d+)$/.exec(text)?.[1]
    if (born !== undefined) parents.set(born, begun.get(pid)?.includes('CLONE_THREAD') ? pid : '')
  }
  const processOf = (pid: string): string => {
    const parent = parents.get(pid)
    if (parent === undefined) return 'main'
    return parent === '' ? pid : processOf(parent)
  }
  return processOf
}

/** The paths among the arguments; a link's own target is none. */
function stringsIn(args: string, table: ReadonlyMap<string, string>): string[] {
  const found = [...args.matchAll(/(?:\w+<([^>]*)>, )?"((?:[^"\\]|\\.)*)"(?!\.\.\.)/g)]
  return found.map(([, directory = '/', text = '']) => {
    const [, fd = '', rest = ''] = /^\/proc\/self\/fd\/(\d+)(.*)$/.exec(text) ?? []
    return fd === '' ? resolve(directory, text) : resolve(`${table.get(fd) ?? '/unknown'}/.${rest}`)
  })
}

function pathsOf({ name, args, strings }: Open, opened: string | undefined): string[] {
  if (name.startsWith('symlink')) return strings.slice(-1)
  if (/^open/.test(name) && opened !== undefined) return [opened]
  if (strings.length > 0) return [...strings]
  const [, path] = /^\d+<([^>]*)>/.exec(args) ?? []
  return path === undefined ? [] : [path]
}

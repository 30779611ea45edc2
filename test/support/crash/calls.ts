// Owns the system calls of an errand as strace saw them: each that changes the disk below a root, in order, with the steps between them.
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Errand } from './errand.ts'
import type { Workshop } from './image.ts'
import { runChild } from './victim.ts'

/** One call that changed the disk or made a change durable, or one step that was passed. */
export interface Call {
  readonly atSeconds: number
  readonly thread: string
  /** The system call's name; `step` for a step. */
  readonly name: string
  /** What it acted on: a path below the root, `(tree)/…` inside one of the trees, the name of a step. */
  readonly path: string
  /** Where a rename leads. */
  readonly to: string | null
}

const WATCHED =
  'openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,symlink,symlinkat,link,linkat,chmod,fchmod,fchmodat,' +
  'chown,lchown,fchown,fchownat,utimensat,truncate,ftruncate,fallocate,write,pwrite64,writev,pwritev,sendfile,copy_file_range,bind,fsync,' +
  'fdatasync,sync,syncfs,mknodat'

/** Runs an errand under strace. @returns its calls on the root, in the order in which they were begun */
export async function callsOf(workshop: Workshop, errand: Errand): Promise<readonly Call[]> {
  const out = await workshop.directory('calls')
  const steps = workshop.name('steps')
  const under = ['strace', '-ff', '-y', '-ttt', '-qq', '-s', '64', '--signal=none', '-e', `trace=${WATCHED}`]
  const { code, told } = await runChild(errand, { steps, under: [...under, '-o', join(out, 'of')] })
  if (code !== 0) throw new Error(`the errand failed under strace: ${told.join(', ')}`)
  const calls: Call[] = []
  for (const file of await readdir(out)) {
    const text = await readFile(join(out, file), 'utf8')
    for (const line of text.split('\n')) {
      const call = read(line, file, errand.root, steps)
      if (call !== null) calls.push(call)
    }
  }
  return calls.sort((a, b) => a.atSeconds - b.atSeconds)
}

function read(line: string, thread: string, root: string, steps: string): Call | null {
  const match = /^(\d+\.\d+) (\w+)\((.*)\) = (-?\d+)/.exec(line)
  if (match === null) return null
  const [, at = '', name = '', args = '', result = ''] = match
  if (result.startsWith('-')) return null
  if (args.includes(`<${steps}>`)) {
    const step = /"(.*?)\\n"/.exec(args)?.[1]
    return name === 'write' && step ? { atSeconds: Number(at), thread, name: 'step', path: step, to: null } : null
  }
  if (name === 'openat' && !/O_CREAT|O_TRUNC/.test(args)) return null
  const named = [...args.matchAll(/"(.*?)"/g)].map(([, path = '']) => placeOf(path, root))
  const open = [...args.matchAll(/^\d+<(.*?)>/g)].map(([, path = '']) => placeOf(path, root))
  const paths = /^(f|write|pwrite|sync|copy|sendfile)/.test(name) && name !== 'fchmodat' ? open : named
  const inside = paths.filter((path) => path !== null)
  // The target of a link comes first, and is no path that is changed.
  const [path = null, to = null] = name.startsWith('symlink') ? [inside.at(-1) ?? null] : inside
  return path === null ? null : { atSeconds: Number(at), thread, name, path, to }
}

/** A path below the root, without it; null for any other. */
function placeOf(path: string, root: string): string | null {
  if (path.startsWith('/proc/self/fd/')) return `(tree)/${basename(path)}`
  const clean = path.replace(/ \(deleted\)$/, '')
  if (clean === root) return '.'
  return clean.startsWith(`${root}/`) ? clean.slice(root.length + 1) : null
}

export const isSync = ({ name }: Call): boolean => /sync/.test(name)
export const isChange = (call: Call): boolean => call.name !== 'step' && !isSync(call)
/** Changes a tree itself: what lies in its directories, and their modes. */
export const isInTree = (call: Call): boolean =>
  isChange(call) && [call.path, call.to ?? ''].some((path) => /^\(tree\)|^trees\/[ab]\//.test(path))
/** Changes a tree, or a file that is on its way into one. */
export const isOfTree = (call: Call): boolean =>
  isInTree(call) || (isChange(call) && /^\.hotcold\/tmp\/at-/.test(call.path))

/** Renames of files that were written aside in the same directory: how everything durable gets its name. */
export function namings(calls: readonly Call[]): readonly Call[] {
  return calls.filter(({ name, path, to }) => {
    return (
      name.startsWith('rename') && to !== null && /^\..*\.tmp$/.test(basename(path)) && dirname(path) === dirname(to)
    )
  })
}

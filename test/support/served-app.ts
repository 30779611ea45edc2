// Owns starting the application that tests deploy to, as a process, and talking to it.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { end, mortal } from './child.ts'
import type { Knobs } from './served-app-main.ts'

export type { Knobs } from './served-app-main.ts'

/** What `/page` answers: the two files it is made of, the build it was made from, and who made it. */
export interface Page {
  readonly a: string
  readonly b: string
  readonly build: string
  readonly pid: number
}

export interface ServedApp {
  readonly url: string
  readonly port: number
  readonly pid: number
  page(ms?: number): Promise<Page>
  /** Makes it misbehave from now on, whatever it serves. */
  set(knobs: Partial<Knobs>): Promise<void>
  /** Starts a request that stays in flight until `release`; resolves once the application counts it. */
  hold(): Promise<{ readonly done: Promise<Page> }>
  release(): Promise<void>
  active(): Promise<number>
  /** SIGHUP: serves what `hot` is by then. */
  reload(): void
  /** Ends it and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

export interface ServedAppOptions {
  /** The puller's root: it serves from `<root>/hot`. */
  readonly root: string
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** A file `<pid>.lease` stands here while a request is in flight. */
  readonly leases?: string
  /** Working directory; `hot` starts it inside the tree that is hot by then. */
  readonly cwd?: 'root' | 'hot'
}

/** A served application as a real process, ended by `t.after`. */
export async function startServedApp(t: Pick<TestContext, 'after'>, options: ServedAppOptions): Promise<ServedApp> {
  const main = join(import.meta.dirname, 'served-app-main.ts')
  const args = [main, options.root, String(options.port ?? 0), options.leases ?? '']
  const cwd = options.cwd === 'hot' ? join(options.root, 'hot') : options.root
  const child = spawn(...mortal(process.execPath, ...args), { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => end(child, 'SIGKILL'))
  const port = await firstLine(child)
  const url = `http://127.0.0.1:${port}`
  const ask = async <answer>(path: string, body?: string): Promise<answer> => {
    const answer = await fetch(url + path, body === undefined ? {} : { method: 'POST', body })
    return (await answer.json()) as answer
  }
  const active = async () => (await ask<{ active: number }>('/active')).active
  return {
    url,
    port,
    pid: child.pid ?? 0,
    page: (ms = 0) => ask<Page>(`/page?ms=${ms}`),
    set: async (knobs) => void (await ask('/knobs', JSON.stringify(knobs))),
    hold: async () => {
      const before = await active()
      const done = ask<Page>('/hold')
      done.catch(() => {}) // the test may end the application while the request is in flight
      while ((await active()) <= before) await new Promise((resolve) => setTimeout(resolve, 5))
      return { done }
    },
    release: async () => void (await ask('/release', '')),
    active,
    reload: () => void child.kill('SIGHUP'),
    stop: async (signal = 'SIGTERM') => void (await end(child, signal)),
  }
}

/** Lays a tree for the application where no puller does it: `files` and `build.txt` in `<root>/trees/<tree>`, and points `hot` at it. */
export async function layHot(
  root: string,
  tree: 'a' | 'b',
  build: string,
  files: Readonly<Record<string, string>> = { 'a.txt': `a of ${build}`, 'b.txt': `b of ${build}` },
): Promise<string> {
  const dir = join(root, 'trees', tree)
  await mkdir(dir, { recursive: true })
  for (const [name, text] of Object.entries({ 'build.txt': build, ...files })) await writeFile(join(dir, name), text)
  await symlink(`trees/${tree}`, join(root, 'hot.new'))
  await rename(join(root, 'hot.new'), join(root, 'hot'))
  return dir
}

async function firstLine(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('the application has no output')
  for await (const line of createInterface(child.stdout)) return Number(line)
  throw new Error(`the application ended with ${child.exitCode ?? child.signalCode}`)
}

// Owns seeing that nothing was written where nothing may be: names, inodes, sizes and times of all that surrounds a cold tree.
import { lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Makes the directory that hostile paths aim at, with something to overwrite in it. */
export function makeCanary(dir: string): void {
  mkdirSync(join(dir, 'sub'), { recursive: true })
  for (const name of ['secret', 'x', 'child', 'sub/x']) writeFileSync(join(dir, name), `the canary's ${name}\n`)
  symlinkSync('secret', join(dir, 'link'))
}

function facts(path: string, timesToo = true): string {
  const stat = lstatSync(path)
  const { ino, size, mode, nlink, mtimeMs, ctimeMs } = stat
  const link = stat.isSymbolicLink() ? ` -> ${readlinkSync(path)}` : ''
  const rest = timesToo ? ` ${size} ${nlink} ${mtimeMs} ${ctimeMs}` : ''
  return `${path} ${ino} ${mode.toString(8)}${rest}${link}`
}

/**
 * Everything below `parent` that a staging in `root` must leave as it is, one line a path. Of the directories in which it may work (the
 * root, `trees`, `.hotcold`, the cold tree) it is the names and the inodes, of all else sizes and times as well.
 */
export function surroundings(parent: string, root: string, cold: 'a' | 'b'): string[] {
  const lines: string[] = []
  const trees = join(root, 'trees')
  const own = join(root, '.hotcold')
  const worked = new Set([root, trees, own])
  const free = new Set([join(trees, cold), join(own, 'tmp'), join(own, 'manifests')])
  const walk = (path: string): void => {
    const works = worked.has(path) || free.has(path)
    const file = path.startsWith(`${own}/`) || path === join(trees, `${cold}.seal`)
    if (!file || free.has(path)) lines.push(facts(path, !works))
    if (free.has(path) || !lstatSync(path).isDirectory()) return
    const names = readdirSync(path).sort()
    // The seal of cold and the puller's own files come and go.
    if (worked.has(path)) lines.push(names.filter((name) => name !== `${cold}.seal` && path !== own).join(' '))
    for (const name of names) walk(join(path, name))
  }
  walk(parent)
  const inFlight = readdirSync(join(own, 'tmp'))
  return [...lines, `on their way: ${inFlight.join(' ')}`]
}

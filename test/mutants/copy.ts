// Owns scratch copies of the project, where source may be broken: everything but what is installed, which is linked.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { PROJECT } from '#test/support/source.ts'

const LEFT_OUT = ['.git', 'node_modules', '.cache']
/** Compiled code is of the source that it was compiled from: each copy has its own. */
const COMPILED = 'compiled'

/** A copy of the project as it lies. @returns its folder, and what removes it */
export function copyProject(): { readonly dir: string; readonly remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'hotcold-mutants-'))
  cpSync(PROJECT, dir, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (from) => !LEFT_OUT.includes(relative(PROJECT, from)),
  })
  symlinkSync(join(PROJECT, 'node_modules'), join(dir, 'node_modules'))
  mkdirSync(join(dir, '.cache'))
  for (const name of readdirSync(join(PROJECT, '.cache'))) {
    if (name !== COMPILED) symlinkSync(join(PROJECT, '.cache', name), join(dir, '.cache', name))
  }
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

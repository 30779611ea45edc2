// Owns changing what a tree holds besides file contents: removing, directories, links, modes and times. Runs in a worker.
import { closeSync } from 'node:fs'
import type { Entry } from '#fleet/manifest.ts'
import { Directories, printable } from './directories.ts'
import * as disk from './disk.ts'
import { diskFault } from './disk-faults.ts'

/** The steps before and after the files; see `StagePlan` for their order. */
export interface ShapeOptions {
  readonly tree: string
  readonly attempt: string
  readonly owner: disk.Owner | null
}

/** Opens up directories, removes, and makes new directories: after this every parent of a wanted path is there and writable. */
export function prepare(
  options: ShapeOptions,
  steps: {
    readonly lift: readonly string[]
    readonly remove: readonly { readonly path: string; readonly directory: boolean }[]
    readonly mkdir: readonly Entry[]
  },
): void {
  const directories = new Directories(options.tree)
  try {
    for (const path of steps.lift) inPlace(path, () => setMode(directories, path, 0o700))
    for (const { path, directory } of steps.remove) {
      inPlace(path, () =>
        directory ? disk.rmdir('stage.rmdir', directories.at(path)) : disk.unlink('stage.remove', directories.at(path)),
      )
    }
    // Handles of directories that are gone must not be found again under a name that is made anew.
    directories.forget()
    for (const { path } of steps.mkdir) inPlace(path, () => disk.mkdir('stage.mkdir', directories.at(path)))
  } finally {
    directories.close()
  }
}

/** Makes links, dresses what was kept, and gives directories their final mode, deepest first: some may not be written after it. */
export function finish(
  options: ShapeOptions,
  steps: {
    readonly links: readonly { readonly index: number; readonly entry: Entry }[]
    readonly set: readonly Entry[]
    readonly directories: readonly Entry[]
  },
): void {
  const directories = new Directories(options.tree)
  try {
    for (const { index, entry } of steps.links) {
      inPlace(entry.path, () => {
        const aside = `${options.attempt}/${index}`
        disk.symlink('stage.link', entry.content, aside)
        disk.dressLink('stage.dress', aside, entry.mtime, options.owner)
        disk.rename('stage.place', aside, directories.at(entry.path))
      })
    }
    for (const entry of steps.set) inPlace(entry.path, () => dressKept(directories, entry, options.owner))
    for (const { path, mode } of steps.directories) {
      inPlace(path, () => {
        if (options.owner !== null) disk.chown('stage.dress', directories.at(path), options.owner)
        setMode(directories, path, mode)
      })
    }
  } finally {
    directories.close()
  }
}

function dressKept(directories: Directories, entry: Entry, owner: disk.Owner | null): void {
  if (entry.type === 'l') {
    disk.dressLink('stage.dress', directories.at(entry.path), entry.mtime, owner)
    return
  }
  if (owner !== null) disk.chown('stage.dress', directories.at(entry.path), owner)
  const fd = directories.pin(entry.path)
  try {
    disk.chmod('stage.dress', `/proc/self/fd/${fd}`, entry.mode)
    disk.touch('stage.dress', `/proc/self/fd/${fd}`, entry.mtime)
  } finally {
    closeSync(fd)
  }
}

function setMode(directories: Directories, path: string, mode: number): void {
  const fd = directories.pin(path)
  try {
    disk.chmod('stage.mode', `/proc/self/fd/${fd}`, mode)
  } finally {
    closeSync(fd)
  }
}

/** Names the path in what the disk says (failures C11: "cannot clear cold tree"). */
function inPlace(path: string, change: () => void): void {
  try {
    change()
  } catch (error) {
    throw diskFault(error, `cannot change ${printable(path)} in the cold tree`)
  }
}

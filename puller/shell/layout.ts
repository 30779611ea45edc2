// Owns the layout of a root: made where it is missing, refused where it cannot work, leftovers of a crash removed, links read and moved.
import { closeSync, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { join, resolve } from 'node:path'
import { FleetError } from '#fleet/errors.ts'
import { otherTree, TREE_NAMES, type TreeName } from '../core/trees.ts'
import * as disk from './disk.ts'
import { diskFault, errnoOf } from './disk-faults.ts'

/** The paths of a root. */
export interface Layout {
  readonly root: string
  readonly trees: string
  readonly tree: Readonly<Record<TreeName, string>>
  /** `.hotcold`: journal, ratchet, lock, copies of manifests. */
  readonly state: string
  readonly manifests: string
  /** Files that are not in place yet. */
  readonly tmp: string
  readonly hot: string
  readonly cold: string
}

export function layoutOf(root: string): Layout {
  const trees = join(root, 'trees')
  const state = join(root, '.hotcold')
  return {
    root,
    trees,
    tree: { a: join(trees, 'a'), b: join(trees, 'b') },
    state,
    manifests: join(state, 'manifests'),
    tmp: join(state, 'tmp'),
    hot: join(root, 'hot'),
    cold: join(root, 'cold'),
  }
}

/** Makes what is missing and refuses what cannot work (failures C9, C10). @throws FleetError `ROOT_UNFIT` · `DISK_*` */
export function layDirectories(layout: Layout): void {
  const device = needDirectory(layout.root, null, 0o755)
  for (const path of [layout.trees, layout.tree.a, layout.tree.b]) needDirectory(path, device, 0o755)
  for (const path of [layout.state, layout.manifests, layout.tmp]) needDirectory(path, device, 0o750)
  for (const link of [layout.hot, layout.cold]) {
    const stat = lstatSync(link, { throwIfNoEntry: false })
    if (stat !== undefined && !stat.isSymbolicLink()) throw unfit(link, 'is not a symbolic link')
  }
  for (const directory of [layout.trees, layout.root, layout.state]) probe(directory)
}

function needDirectory(path: string, device: number | null, mode: number): number {
  let stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) {
    make(path, mode)
    stat = lstatSync(path)
  }
  if (stat.isSymbolicLink())
    throw unfit(path, 'is a symbolic link: give the real path, a swap must stay on one file system')
  if (!stat.isDirectory()) throw unfit(path, 'is not a directory')
  if (device !== null && stat.dev !== device) throw unfit(path, 'is on another file system than the root')
  return stat.dev
}

function make(path: string, mode: number): void {
  try {
    disk.mkdir('layout.mkdir', path, mode)
    // The umask of whoever started us must not decide whether the app can reach its own files.
    disk.chmod('layout.mode', path, mode)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw unfit(path, 'cannot be made: its parent directory is missing')
    throw diskFault(error, `making ${path}`)
  }
}

/** Proves that files can be made in a directory: better now than in the middle of a swap. */
function probe(directory: string): void {
  const path = join(directory, '.probe.tmp')
  try {
    disk.unlink('layout.probe', path)
    closeSync(disk.create('layout.probe', path))
    disk.unlink('layout.probe', path)
  } catch (error) {
    const errno = errnoOf(error)
    // A full disk is a trouble, not a reason to refuse: what runs goes on running and there is much to do without writing a tree.
    if (errno === 'ENOSPC' || errno === 'EDQUOT') return
    if (errno !== 'EACCES' && errno !== 'EPERM') throw diskFault(error, `writing in ${directory}`)
    const stat = lstatSync(directory)
    throw unfit(
      directory,
      `cannot be written by uid ${process.getuid?.()}: it is owned by ${ownerOf(stat)}, mode ${(stat.mode & 0o7777).toString(8)}`,
    )
  }
}

function ownerOf(stat: Stats): string {
  return `uid ${stat.uid}, gid ${stat.gid}`
}

function unfit(path: string, why: string): FleetError {
  return new FleetError('ROOT_UNFIT', `${path} ${why}`)
}

/** Removes what a puller that died may have left: files on their way, half-made links. Nothing in the trees. */
export function removeLeftovers(layout: Layout): void {
  try {
    emptyDirectory(layout.tmp)
    for (const directory of [layout.root, layout.trees, layout.state, layout.manifests]) {
      for (const name of readdirSync(directory)) {
        if (name.startsWith('.') && name.endsWith('.tmp')) disk.unlink('leftover', join(directory, name))
      }
    }
  } catch (error) {
    throw diskFault(error, `removing leftovers in ${layout.root}`)
  }
}

/** Empties a directory of ours, whatever modes lie in it. */
export function emptyDirectory(directory: string): void {
  clear(Buffer.from(directory))
}

function clear(directory: Buffer): void {
  for (const name of readdirSync(directory, 'buffer')) {
    const path = Buffer.concat([directory, Buffer.from('/'), name])
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      // A directory without write permission cannot be emptied by its owner.
      disk.chmod('leftover.mode', path, 0o700)
      clear(path)
      disk.rmdir('leftover', path)
    } else {
      disk.unlink('leftover', path)
    }
  }
}

/** Where a link leads: the tree, 'elsewhere', or null when there is no link. */
export function readLink(layout: Layout, link: string): TreeName | 'elsewhere' | null {
  let target: string
  try {
    target = readlinkSync(link)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw diskFault(error, `reading ${link}`)
  }
  // Made by hand it may be absolute; what counts is the tree that it means.
  const path = resolve(layout.root, target)
  return TREE_NAMES.find((name) => layout.tree[name] === path) ?? 'elsewhere'
}

/** Makes a link lead to a tree by rename(2), so that no look-up ever finds it missing, and durably. */
export function pointLink(layout: Layout, at: string, link: string, to: TreeName): void {
  const aside = join(layout.state, `.${at}.tmp`)
  disk.unlink(`${at}.clear`, aside)
  // Relative, so that the root may be seen under another path: by a container, or once it has moved.
  disk.symlink(`${at}.symlink`, `trees/${to}`, aside)
  disk.rename(`${at}.rename`, aside, link)
  disk.syncDirectory(`${at}.sync`, layout.root)
}

/** Lets `cold` lead to the tree that is not hot. It is for people: a failure to say so stops nothing. @returns the error, for the log */
export function repairColdLink(layout: Layout, hot: TreeName | null): unknown {
  try {
    const cold = hot === null ? null : otherTree(hot)
    if (cold !== null && readLink(layout, layout.cold) !== cold) pointLink(layout, 'cold', layout.cold, cold)
    return null
  } catch (error) {
    return error
  }
}

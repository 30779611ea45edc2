// Owns what a manifest must be before anything is done with it: shape, order, paths, links, frames and limits.
import { type BuildId, type Digest, isBuildId, isDigest, isName, type Name } from './build.ts'
import { FleetError } from './errors.ts'
import type { Entry, Frame, Limits, Manifest } from './manifest.ts'
import { comparePaths, FollowedLinks, foldOf, linkFault, parentOf, pathFault } from './paths.ts'

/** Limits that `publish` writes unless it is told others; a manifest that claims more is held to these. */
export const MOST: Limits = { entries: 2_000_000, bytes: 2 ** 42, depth: 128, nameBytes: 255 }

/** Raw bytes of the largest frame that a node takes into its memory. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024

/** Latest time of an entry, whole seconds since 1970: what the header of a plain tar holds, and every file system of today keeps. */
export const MAX_MTIME = 8 ** 11 - 1

const SHA256_HEX = /^[0-9a-f]{64}$/
const DIGEST_PREFIX = 'sha256:'
export const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const MODE_MASK = 0o755

function refuse(detail: string): never {
  throw new FleetError('MANIFEST_INVALID', detail)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A path as it may be shown: quoted, escaped, and cut. */
export function shownPath(path: string): string {
  const text = JSON.stringify(path).replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

/**
 * Checks a parsed manifest against every rule. Unknown fields are ignored, a higher `v` is refused.
 * @throws FleetError `MANIFEST_INVALID` · `LIMITS_EXCEEDED`
 */
export function checkManifest(value: unknown): Manifest {
  if (!isRecord(value)) return refuse('the manifest is not an object')
  if (isCount(value.v) && value.v > 1) {
    return refuse(`the manifest is of version ${value.v}, this program reads 1: upgrade it`)
  }
  if (value.v !== 1) return refuse('the manifest has no version')
  const head = checkHead(value)
  const frames = checkFrames(value.frames, head.artifact.bytes)
  const entries = checkEntries(value.entries, head.limits)
  checkTree(entries, head.foldAllowed === true)
  checkPlaces(entries, frames)
  return { ...head, frames, entries }
}

/** All of a manifest but its frames and entries. */
export type ManifestHead = Omit<Manifest, 'frames' | 'entries'>

/** @throws FleetError `MANIFEST_INVALID` */
export function checkHead(value: Record<string, unknown>): ManifestHead {
  const { app, build, commit = null, createdAt, treeDigest, artifact, limits, foldAllowed } = value
  if (typeof app !== 'string' || !isName(app)) return refuse('app is not a name')
  if (typeof build !== 'string' || !isBuildId(build)) return refuse('build is not a build id')
  if (commit !== null && (typeof commit !== 'string' || commit.length > 2_000)) return refuse('commit is not a text')
  if (typeof createdAt !== 'string' || Number.isNaN(Date.parse(createdAt))) return refuse('createdAt is not a time')
  if (typeof treeDigest !== 'string' || !isDigest(treeDigest)) return refuse('treeDigest is not a digest')
  if (!isRecord(artifact) || !isCount(artifact.bytes)) return refuse('artifact has no length')
  const digest = artifact.digest
  if (typeof digest !== 'string' || !isDigest(digest)) return refuse('artifact has no digest')
  return {
    app: app as Name,
    build: build as BuildId,
    commit,
    createdAt,
    treeDigest: treeDigest as Digest,
    artifact: { digest: digest as Digest, bytes: artifact.bytes },
    limits: checkLimits(limits),
    ...(foldAllowed === true && { foldAllowed }),
  }
}

/** A limit that is not named is the house's own: other publishers may call theirs by other names. */
function checkLimits(value: unknown): Limits {
  if (!isRecord(value)) return refuse('the manifest has no limits')
  const { entries, bytes, depth, nameBytes } = { ...MOST, ...value }
  if (!isCount(entries) || !isCount(bytes) || !isCount(depth) || !isCount(nameBytes)) {
    return refuse('a limit is not a whole number')
  }
  return {
    entries: Math.min(entries, MOST.entries),
    bytes: Math.min(bytes, MOST.bytes),
    depth: Math.min(depth, MOST.depth),
    nameBytes: Math.min(nameBytes, MOST.nameBytes),
  }
}

/** @throws FleetError `MANIFEST_INVALID` · `LIMITS_EXCEEDED` */
export function checkFrames(value: unknown, artifactBytes: number): readonly Frame[] {
  if (!Array.isArray(value)) return refuse('frames is not a list')
  let end = 0
  const frames = value.map((tuple: unknown, index): Frame => {
    if (!Array.isArray(tuple)) return refuse(`frame ${index} is not a list`)
    const [offset, bytes, rawBytes, digest] = tuple as unknown[]
    if (!isCount(offset) || !isCount(bytes) || !isCount(rawBytes)) return refuse(`frame ${index} is not three numbers`)
    if (offset !== end) return refuse(`frame ${index} does not begin where the one before it ends`)
    if (bytes === 0 || rawBytes === 0) return refuse(`frame ${index} is empty`)
    if (rawBytes > MAX_FRAME_BYTES || bytes > MAX_FRAME_BYTES + 65_536) {
      throw new FleetError('LIMITS_EXCEEDED', `frame ${index} has ${rawBytes} raw bytes, at most ${MAX_FRAME_BYTES}`)
    }
    if (digest !== undefined && (typeof digest !== 'string' || !SHA256_HEX.test(digest))) {
      return refuse(`the digest of frame ${index} is not one`)
    }
    end = offset + bytes
    return digest === undefined ? { offset, bytes, rawBytes } : { offset, bytes, rawBytes, digest }
  })
  if (end > artifactBytes) return refuse('the frames reach beyond the end of the artifact')
  return frames
}

function checkEntries(value: unknown, limits: Limits): readonly Entry[] {
  if (!Array.isArray(value)) return refuse('entries is not a list')
  if (value.length === 0) return refuse('the build has no entries')
  if (value.length > limits.entries) {
    throw new FleetError('LIMITS_EXCEEDED', `the build has ${value.length} entries, its limit is ${limits.entries}`)
  }
  let total = 0
  const entries = value.map((tuple: unknown, index) => {
    const entry = checkEntry(tuple, index, limits)
    total += entry.size
    return entry
  })
  if (total > limits.bytes) {
    throw new FleetError('LIMITS_EXCEEDED', `the build has ${total} bytes of files, its limit is ${limits.bytes}`)
  }
  return entries
}

/** Reads one entry's tuple. @throws FleetError `MANIFEST_INVALID`, naming the entry */
export function checkEntry(tuple: unknown, index: number, limits: Pick<Limits, 'depth' | 'nameBytes'>): Entry {
  if (!Array.isArray(tuple)) return refuse(`entry ${index} is not a list`)
  const [type, mode, size, mtime, written, frame, offset, path] = tuple as unknown[]
  if (typeof path !== 'string') return refuse(`entry ${index} has no path`)
  const fault = pathFault(path, limits)
  if (fault !== null) return refuse(`entry ${index}, ${shownPath(path)}, ${fault}`)
  const wrong = (what: string) => refuse(`entry ${index}, ${shownPath(path)}, ${what}`)
  if (type !== 'd' && type !== 'f' && type !== 'l') return wrong('is neither directory, file nor link')
  if (!isCount(mode) || !isCount(size) || !isCount(mtime) || !isCount(frame) || !isCount(offset)) {
    return wrong('has a number that is not one')
  }
  if (mtime > MAX_MTIME) return wrong('has a time that no disk keeps')
  if (typeof written !== 'string') return wrong('has no content')
  const content = type === 'f' && written.startsWith(DIGEST_PREFIX) ? written.slice(DIGEST_PREFIX.length) : written
  if ((mode & ~MODE_MASK) !== 0 || mode > 0o777) return wrong('has permission bits beyond 0755')
  if (type === 'f' && !SHA256_HEX.test(content)) return wrong('has no SHA-256')
  if (type === 'f' && size === 0 && content !== SHA256_OF_NOTHING)
    return wrong('is empty and has the SHA-256 of something')
  if (type === 'd' && content !== '') return wrong('is a directory with content')
  if (type === 'l' && mode !== 0) return wrong('is a link with a mode')
  if (type !== 'f' && size !== 0) return wrong('has a size and is no file')
  // Where nothing lies is no fact about a build: a packer may name the place all the same.
  if (size === 0) return { type, mode, size, mtime, content, frame: 0, offset: 0, path }
  return { type, mode, size, mtime, content, frame, offset, path }
}

/** Order, duplicates, parents and links (failures E1–E3, E8). */
function checkTree(entries: readonly Entry[], foldAllowed: boolean): void {
  const directories = new Set<string>([''])
  const links = new Map<string, string>()
  let previous = ''
  let parent = ''
  for (const { type, path, content } of entries) {
    const order = comparePaths(previous, path)
    if (order === 0) refuse(`${shownPath(path)} is there twice`)
    if (order > 0) refuse(`${shownPath(path)} is out of order`)
    const above = parentOf(path)
    // Neighbours mostly share their directory.
    if (above !== parent) {
      if (!directories.has(above)) {
        refuse(`${shownPath(path)} lies in something that is not a directory of the build`)
      }
      parent = above
    }
    if (type === 'd') directories.add(path)
    if (type === 'l') links.set(path, content)
    previous = path
  }
  const followed = new FollowedLinks((at) => links.get(at))
  for (const [path, target] of links) {
    const fault = linkFault(path, target, followed)
    if (fault !== null) refuse(`${shownPath(path)} ${fault}`)
  }
  if (!foldAllowed) checkFolds(entries)
}

/** Names that clash where case and composition do not count (failures E9). Only a path that is not its own fold can bring one about. */
function checkFolds(entries: readonly Entry[]): void {
  const folded = new Map<string, string>()
  for (const { path } of entries) {
    const fold = foldOf(path)
    if (fold === path) continue
    if (folded.has(fold)) refuse(`${shownPath(path)} differs from another name only in case or composition`)
    folded.set(fold, path)
  }
  if (folded.size === 0) return
  for (const { path } of entries) {
    const other = folded.get(path)
    if (other !== undefined) refuse(`${shownPath(other)} differs from ${shownPath(path)} only in case or composition`)
  }
}

/** Every file's bytes must lie inside the frames (failures E11–E14). */
function checkPlaces(entries: readonly Entry[], frames: readonly Frame[]): void {
  const starts: number[] = []
  let total = 0
  for (const frame of frames) {
    starts.push(total)
    total += frame.rawBytes
  }
  for (const { size, frame, offset, path } of entries) {
    if (size === 0) continue
    const start = starts[frame]
    const within = frames[frame]
    if (start === undefined || within === undefined || offset >= within.rawBytes || start + offset + size > total) {
      refuse(`${shownPath(path)} lies outside the artifact`)
    }
  }
}

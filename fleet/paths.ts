// Owns which paths and links a build may hold, and the order of paths: one set of rules for the publisher and for every node.

/** Bounds of paths. */
export interface PathLimits {
  /** Components of the deepest path. */
  readonly depth: number
  /** Bytes of the longest component. */
  readonly nameBytes: number
}

/** Longest path and link target in bytes: what Linux takes (PATH_MAX with its final zero), less room for the tree's own path. */
const MAX_PATH_BYTES = 3_072

// Control characters (C0, DEL, C1), line separators, bidirectional controls and lone surrogates, the replacement character that
// invalid UTF-8 turns into, and the backslash: none of them can be shown, logged or typed safely (failures E2, E10).
const REFUSED_CHARACTERS =
  /[\u0000-\u001f\u007f-\u009f\\\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/
const PLAIN_ASCII = /^[ -~]*$/
const encoder = new TextEncoder()

function byteLength(text: string): number {
  return PLAIN_ASCII.test(text) ? text.length : encoder.encode(text).byteLength
}

/** Why a path cannot be deployed, in words that follow the path's name; null when it can. Nothing is ever stripped or mended. */
export function pathFault(path: string, limits: PathLimits): string | null {
  if (isPlain(path, limits)) return null
  if (path === '') return 'is empty'
  if (path.startsWith('/')) return 'is absolute'
  if (/^[A-Za-z]:/.test(path)) return 'begins with a drive letter'
  if (REFUSED_CHARACTERS.test(path)) return 'has a character in its name that cannot be deployed'
  if (byteLength(path) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`
  const components = path.split('/')
  if (components.length > limits.depth) return `is deeper than ${limits.depth} directories`
  for (const component of components) {
    if (component === '') return 'has an empty component'
    if (component === '.' || component === '..') return `has a component "${component}"`
    if (component.length * 3 > limits.nameBytes && byteLength(component) > limits.nameBytes) {
      return `has a component longer than ${limits.nameBytes} bytes`
    }
  }
  return null
}

const SLASH = 0x2f
const DOT = 0x2e
const COLON = 0x3a
const BACKSLASH = 0x5c

/** Whether a path is one of the many that no rule can object to, in one pass: manifests hold tens of thousands of them. */
function isPlain(path: string, limits: PathLimits): boolean {
  if (path.length > MAX_PATH_BYTES || path.charCodeAt(1) === COLON) return false
  let depth = 1
  let begin = 0
  let dots = 0
  for (let at = 0; at < path.length; at += 1) {
    const code = path.charCodeAt(at)
    if (code < 0x20 || code > 0x7e || code === BACKSLASH) return false
    if (code === SLASH) {
      // Shorter than three and all dots, or nothing at all: "", "." and "..".
      if (at - begin === dots && dots < 3) return false
      if (at - begin > limits.nameBytes) return false
      depth += 1
      begin = at + 1
      dots = 0
    } else if (code === DOT) dots += 1
  }
  const last = path.length - begin
  return (last !== dots || dots >= 3) && last <= limits.nameBytes && depth <= limits.depth
}

/**
 * Why a symbolic link cannot be deployed; null when it can. It must be relative and stay inside the tree, both as text and when the
 * tree's other links are followed on the way (failures E3): `up/..` leaves the tree when `up` is a link to its root.
 * @param followed the links of the tree
 */
export function linkFault(path: string, target: string, followed: FollowedLinks): string | null {
  if (target === '') return 'is a link to nothing'
  if (target.startsWith('/')) return 'is a link to an absolute path'
  if (REFUSED_CHARACTERS.test(target)) return 'is a link to a name that cannot be deployed'
  if (byteLength(target) > MAX_PATH_BYTES) return `is a link to a path longer than ${MAX_PATH_BYTES} bytes`
  if (new FollowedLinks(() => undefined).leaves(path, target)) return 'is a link that leaves the tree'
  if (followed.leaves(path, target)) return 'is a link that leaves the tree by way of another link'
  return null
}

/** Deeper than any entry of any build: below it no link can lie, so names are only counted. */
const DEEPEST = 128

/** Where a walk has got to: the paths of the directories it is in, from the root's first on, and how many names below the last of them. */
interface Place {
  readonly within: string[]
  below: number
}

/** What following a link comes to: a place, outside of the tree, or nowhere since it leads in a circle. */
type End = Place | 'outside' | 'nowhere'

interface Walk extends Place {
  readonly path: string
  readonly names: readonly string[]
  next: number
}

/**
 * The links of a tree, each followed once: what it came to is remembered, so that a manifest of links that lead through one another costs
 * its length and not the number of ways through them.
 */
export class FollowedLinks {
  readonly #targetOf: (path: string) => string | undefined
  readonly #ends = new Map<string, End>()

  /** @param targetOf the target of the link at a path, or undefined when no link is there */
  constructor(targetOf: (path: string) => string | undefined) {
    this.#targetOf = targetOf
  }

  /** Whether a link at `path` to `target` leads out of the tree, as the kernel would walk it. */
  leaves(path: string, target: string): boolean {
    return (this.#ends.get(path) ?? this.#follow(path, target)) === 'outside'
  }

  /** Without recursion: a chain may be as long as the manifest. */
  #follow(path: string, target: string): End {
    const walks = [beginAt(path, target)]
    const walking = new Set([path])
    for (let walk = walks.at(-1); walk !== undefined; walk = walks.at(-1)) {
      const met = this.#goOn(walk, walking)
      if (typeof met === 'object' && 'link' in met) {
        walking.add(met.link)
        walks.push(beginAt(met.link, met.target))
        continue
      }
      this.#ends.set(walk.path, met)
      walking.delete(walk.path)
      walks.pop()
    }
    return this.#ends.get(path) ?? 'nowhere'
  }

  /** Walks on to the end, or up to a link that was not followed yet. */
  #goOn(walk: Walk, walking: ReadonlySet<string>): End | { readonly link: string; readonly target: string } {
    const { names, within } = walk
    for (; walk.next < names.length; walk.next += 1) {
      const name = names[walk.next] ?? ''
      if (name === '' || name === '.') continue
      if (name === '..') {
        if (walk.below > 0) walk.below -= 1
        else if (within.pop() === undefined) return 'outside'
        continue
      }
      const above = within.at(-1)
      const at = above === undefined ? name : `${above}/${name}`
      if (walk.below > 0 || within.length >= DEEPEST || at.length > MAX_PATH_BYTES) {
        walk.below += 1
        continue
      }
      const target = this.#targetOf(at)
      if (target === undefined) {
        within.push(at)
        continue
      }
      const end = walking.has(at) ? 'nowhere' : this.#ends.get(at)
      if (end === undefined) return { link: at, target }
      if (typeof end === 'string') return end
      within.splice(0, within.length, ...end.within)
      walk.below = end.below
    }
    return { within, below: walk.below }
  }
}

function beginAt(path: string, target: string): Walk {
  const names = path.split('/').slice(0, -1)
  const within = names.map((_, index) => names.slice(0, index + 1).join('/'))
  return { path, names: target.split('/'), next: 0, within, below: 0 }
}

/** What a path is called where case and composition do not count: two paths with one fold clash on such a volume (failures E9). */
export function foldOf(path: string): string {
  return PLAIN_ASCII.test(path)
    ? path.toLowerCase()
    : path.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}

const ABOVE_SURROGATES = /[\ud800-\uffff]/

/** Order of paths by their UTF-8 bytes. JavaScript's own order differs from it only beyond U+D7FF. */
export function comparePaths(a: string, b: string): number {
  if (a === b) return 0
  // The first characters decide nearly always, and only the highest sort otherwise than their bytes.
  if (ABOVE_SURROGATES.test(a) && ABOVE_SURROGATES.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : 1
}

/** The directory a path lies in, "" for the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}

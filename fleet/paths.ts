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

/** Links that one lookup may pass, as in Linux: after that the kernel gives up, so nothing can be reached. */
const MAX_LINK_HOPS = 40

/**
 * Why a symbolic link cannot be deployed; null when it can. It must be relative and stay inside the tree, both as text and when the
 * tree's other links are followed on the way (failures E3): `up/..` leaves the tree when `up` is a link to its root.
 * @param targetOf the target of the link at a path, or undefined when no link is there
 */
export function linkFault(path: string, target: string, targetOf: (path: string) => string | undefined): string | null {
  if (target === '') return 'is a link to nothing'
  if (target.startsWith('/')) return 'is a link to an absolute path'
  if (REFUSED_CHARACTERS.test(target)) return 'is a link to a name that cannot be deployed'
  if (byteLength(target) > MAX_PATH_BYTES) return `is a link to a path longer than ${MAX_PATH_BYTES} bytes`
  if (leavesTree(path, target, () => undefined)) return 'is a link that leaves the tree'
  if (leavesTree(path, target, targetOf)) return 'is a link that leaves the tree by way of another link'
  return null
}

function leavesTree(path: string, target: string, targetOf: (path: string) => string | undefined): boolean {
  const at = path.split('/').slice(0, -1)
  const ahead = target.split('/').reverse()
  for (let hops = 0; ahead.length > 0; ) {
    const component = ahead.pop()
    if (component === undefined || component === '' || component === '.') continue
    if (component === '..') {
      if (at.length === 0) return true
      at.pop()
      continue
    }
    at.push(component)
    const next = targetOf(at.join('/'))
    if (next === undefined) continue
    hops += 1
    if (hops > MAX_LINK_HOPS) return false
    at.pop()
    ahead.push(...next.split('/').reverse())
  }
  return false
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

// Owns source trees of tests: made from a seed, changed by a share, and compared entry by entry.
import { createHash } from 'node:crypto'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/** A small seeded generator (mulberry32): the same seed, the same tree. Uniform in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Half of it compresses, half does not, as in real trees. */
function content(random: () => number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes, `line ${Math.floor(random() * 1e9)} of a file\n`)
  for (let at = 0; at < bytes / 2; at += 4)
    buffer.writeUInt32LE(Math.floor(random() * 4_294_967_296), Math.min(at, Math.max(0, bytes - 4)))
  return buffer
}

function put(path: string, bytes: Buffer, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  chmodSync(path, mode)
}

/** Makes `files` files of 100 bytes to 8 KiB, a large one, executables, links, an empty file and an empty directory. */
export function makeSourceTree(dir: string, files: number, seed: number): void {
  const random = seeded(seed)
  for (let index = 0; index < files; index += 1) {
    const folder = join(dir, `pkg-${index % 97}`, `part-${index % 13}`)
    // Every folder has its first file by then.
    if (index < 97 * 13) mkdirSync(folder, { recursive: true })
    const bytes = content(random, 100 + Math.floor(random() * 8_000))
    writeFileSync(join(folder, `file-${index}.txt`), bytes, { mode: index % 50 === 0 ? 0o755 : 0o644 })
  }
  put(join(dir, 'assets/large.bin'), content(random, 5_000_000))
  put(join(dir, 'assets/empty'), Buffer.alloc(0))
  mkdirSync(join(dir, 'var/spool'), { recursive: true })
  chmodSync(join(dir, 'var/spool'), 0o700)
  symlinkSync('large.bin', join(dir, 'assets/current'))
  symlinkSync('../assets', join(dir, 'var/assets'))
}

/** Rewrites, adds and removes about `share` of the files, patches the large one, and makes a file a directory and a link a file. */
export function changeSourceTree(dir: string, files: number, share: number, seed: number): void {
  const random = seeded(seed)
  for (let change = 0; change < files * share; change += 1) {
    const index = Math.floor(random() * files)
    const path = join(dir, `pkg-${index % 97}`, `part-${index % 13}`, `file-${index}.txt`)
    if (change % 10 === 0) rmSync(path, { force: true })
    else if (change % 10 === 1) put(join(dir, `pkg-${index % 97}`, `added-${index}.txt`), content(random, 700))
    else put(path, content(random, 100 + Math.floor(random() * 8_000)))
  }
  const large = readFileSync(join(dir, 'assets/large.bin'))
  content(random, 5_000).copy(large, 2_500_000)
  writeFileSync(join(dir, 'assets/large.bin'), large)
  rmSync(join(dir, 'assets/empty'))
  put(join(dir, 'assets/empty/now-a-directory'), content(random, 50))
  rmSync(join(dir, 'assets/current'))
  put(join(dir, 'assets/current'), content(random, 90), 0o755)
}

/**
 * One line per entry below `dir`: type, mode (masked as builds mask it), SHA-256 or link target, path. Two trees with the same lines
 * are the same tree. @param options.mtimes adds whole seconds of files
 */
export function treeLines(dir: string, options: { mtimes?: boolean } = {}): string[] {
  const lines: string[] = []
  const walk = (below: string): void => {
    for (const entry of readdirSync(join(dir, below), { withFileTypes: true })) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      const facts = lstatSync(join(dir, path))
      const mode = (facts.mode & 0o755).toString(8)
      if (entry.isDirectory()) {
        lines.push(`d ${mode} ${path}`)
        walk(path)
      } else if (entry.isSymbolicLink()) lines.push(`l ${readlinkSync(join(dir, path))} ${path}`)
      else {
        const sum = createHash('sha256')
          .update(readFileSync(join(dir, path)))
          .digest('hex')
        lines.push(`f ${mode} ${sum} ${options.mtimes ? `${Math.floor(facts.mtimeMs / 1000)} ` : ''}${path}`)
      }
    }
  }
  walk('')
  return lines.sort()
}

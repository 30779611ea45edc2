// Owns telling whether a tree is exactly what a manifest says, by code of its own: nothing here is shared with what writes trees.
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** One path as it lies or as it should: type, mode, size, SHA-256 or target, whole seconds of a file. */
function shown(
  type: string,
  mode: number,
  size: number,
  content: string,
  mtime: number | string,
  path: Buffer,
): string {
  return `${path.toString('hex')} ${type} ${mode.toString(8)} ${size} ${content} ${mtime} (${JSON.stringify(path.toString())})`
}

function wanted(manifest: Uint8Array): string[] {
  const { entries } = JSON.parse(Buffer.from(manifest).toString('utf8')) as { entries: unknown[][] }
  return entries.map(([type, mode, size, mtime, content, , , path]) => {
    const bare = String(content).replace(/^sha256:/, '')
    const time = type === 'd' ? '' : Number(mtime)
    return shown(String(type), Number(mode), Number(size), bare, time, Buffer.from(String(path)))
  })
}

function lying(dir: Buffer, below: Buffer, lines: string[]): void {
  for (const name of readdirSync(dir, { encoding: 'buffer' })) {
    const path = below.byteLength === 0 ? name : Buffer.concat([below, Buffer.from('/'), name])
    const at = Buffer.concat([dir, Buffer.from('/'), name])
    const facts = lstatSync(at)
    const mode = facts.mode & 0o7777
    const time = facts.mtimeMs / 1_000
    if (facts.isDirectory()) {
      lines.push(shown('d', mode, 0, '', '', path))
      lying(at, path, lines)
    } else if (facts.isSymbolicLink()) {
      lines.push(shown('l', 0, 0, readlinkSync(at, { encoding: 'buffer' }).toString(), time, path))
    } else if (facts.isFile()) {
      const sum = createHash('sha256').update(readFileSync(at)).digest('hex')
      const links = facts.nlink === 1 ? '' : ` with ${facts.nlink} names`
      lines.push(shown(`f${links}`, mode, facts.size, sum, time, path))
    } else lines.push(shown('?', mode, facts.size, '', time, path))
  }
}

/** What a tree has and the manifest has not, and the other way round; nothing when they are the same. */
export function differences(tree: string, manifest: Uint8Array): string[] {
  const there: string[] = []
  lying(Buffer.from(tree), Buffer.alloc(0), there)
  const want = wanted(manifest)
  const [has, wants] = [new Set(there), new Set(want)]
  const twice = want.length === wants.size ? [] : ['an entry is there twice']
  const missing = want.filter((line) => !has.has(line)).map((line) => `missing: ${line}`)
  return [...twice, ...missing, ...there.filter((line) => !wants.has(line)).map((line) => `extra: ${line}`)]
}

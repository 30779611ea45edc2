// Owns file systems in files: made once, copied in milliseconds with every inode and time in them, mounted, and cut off from power by a copy.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, realpath, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type FileSystem = 'ext4' | 'xfs'

const KINDS = {
  ext4: { bytes: 48 * 1024 * 1024, make: ['mkfs.ext4', '-q', '-m', '0'], options: 'loop' },
  // 300 MiB is the least that mkfs.xfs makes; a copy has the identity of its original, which xfs does not like to see twice.
  xfs: { bytes: 320 * 1024 * 1024, make: ['mkfs.xfs', '-q'], options: 'loop,nouuid' },
} as const

/** A file system that is mounted. */
export interface Mounted {
  readonly kind: FileSystem
  readonly image: string
  readonly path: string
  /** Unmounts, and removes the image unless it is told to stay. */
  release(keep?: 'keep'): Promise<void>
}

/** One directory for the images of a run. In memory where that is possible: what is proved is what reaches the image, not the disk below it. */
export class Workshop {
  readonly path: string
  #next = 0
  readonly #mounted = new Set<Mounted>()

  private constructor(path: string) {
    this.path = path
  }

  static async open(): Promise<Workshop> {
    const made = await mkdtemp('/dev/shm/hotcold-crash-').catch(() => mkdtemp(join(tmpdir(), 'hotcold-crash-')))
    return new Workshop(await realpath(made))
  }

  /** A path in it that nothing has. */
  name(label: string): string {
    this.#next += 1
    return join(this.path, `${label}-${this.#next}`)
  }

  async directory(label: string): Promise<string> {
    return await mkdtemp(this.name(label))
  }

  /** A new file system. */
  async make(kind: FileSystem): Promise<Mounted> {
    const { bytes, make } = KINDS[kind]
    const image = this.name(kind)
    await writeFile(image, '')
    await truncate(image, bytes)
    const [command, ...args] = make
    await run(command, [...args, image])
    // The log of an empty xfs is 64 MiB of zeros: as holes they cost a copy nothing.
    await run('fallocate', ['--dig-holes', image])
    return await this.mount(kind, image)
  }

  /** Mounts an image; a journal that was not written back is replayed, as after a power cut. */
  async mount(kind: FileSystem, image: string): Promise<Mounted> {
    const path = await this.directory('m')
    const attach = () => run('mount', ['-o', KINDS[kind].options, image, path])
    await attach().catch((error: unknown) => moreLoops(error).then(attach))
    const mounted: Mounted = {
      kind,
      image,
      path,
      release: async (keep) => {
        if (!this.#mounted.delete(mounted)) return
        // A process that was just killed may hold the mount a moment longer than its parent: the kernel lets go of it when it can.
        await run('umount', [path]).catch(() => run('umount', ['-l', path]))
        await rm(path, { recursive: true, force: true })
        if (keep === undefined) await rm(image, { force: true })
      },
    }
    this.#mounted.add(mounted)
    return mounted
  }

  /** A copy of an image that nothing writes to, mounted. */
  async copy(kind: FileSystem, image: string): Promise<Mounted> {
    const copy = this.name(kind)
    await run('cp', ['--sparse=auto', '--reflink=auto', image, copy])
    return await this.mount(kind, copy)
  }

  /**
   * What would be on the disk if the power went now: the image as it is, whatever the kernel still holds in memory left out.
   * The caller has stopped whoever writes. The kernel itself may write back meanwhile: then the copy would be of no moment, and is taken again.
   * @returns the path of the image
   */
  async cut({ kind, image, path }: Mounted): Promise<string> {
    const { stdout } = await run('findmnt', ['-n', '-o', 'SOURCE', path])
    const stat = `/sys/block/${basename(stdout.trim())}/stat`
    const copy = this.name(kind)
    for (let tries = 0; tries < 50; tries += 1) {
      const before = await readFile(stat, 'utf8')
      await run('cp', ['--sparse=auto', '--reflink=auto', image, copy])
      if (writesIn(before) === writesIn(await readFile(stat, 'utf8'))) return copy
    }
    throw new Error(`${image} is never at rest`)
  }

  async close(): Promise<void> {
    for (const mounted of this.#mounted) await mounted.release()
    await rm(this.path, { recursive: true, force: true })
  }
}

/** A machine whose /dev does not fill itself has nodes for eight loop devices, and other tests use them too. */
async function moreLoops(error: unknown): Promise<void> {
  if (!String(error).includes('loop')) throw error
  for (let minor = 8; minor < 64; minor += 1) {
    await run('mknod', [`/dev/loop${minor}`, 'b', '7', String(minor)]).catch(() => undefined)
  }
}

/** Completed writes and requests in flight of a block device. */
function writesIn(stat: string): string {
  const fields = stat.trim().split(/\s+/)
  return `${fields[4]} ${fields[8]}`
}

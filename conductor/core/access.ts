// Owns what a user may do with a file by its mode: asked for another user than the one who asks.

/** A user: by number, with all groups. */
export interface Who {
  readonly name: string
  readonly uid: number
  readonly gids: readonly number[]
}

export interface Owned {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

const BITS = { read: 4, write: 2, execute: 1 } as const

/** As the kernel decides it from the mode alone: the first class that fits counts, and root may all but execute what nobody may. */
export function mayAccess({ mode, uid, gid }: Owned, who: Who, how: keyof typeof BITS): boolean {
  if (who.uid === 0) return how !== 'execute' || (mode & 0o111) !== 0
  const shift = who.uid === uid ? 6 : who.gids.includes(gid) ? 3 : 0
  return ((mode >> shift) & BITS[how]) !== 0
}

/** A user of /etc/passwd and /etc/group by name or number; null: there is none. */
export function userIn(name: string, passwd: string, group: string): Who | null {
  const rows = passwd.split('\n').map((line) => line.split(':'))
  const [found, , uid, gid] = rows.find(([login, , number]) => login === name || number === name) ?? []
  if (found === undefined || uid === undefined || gid === undefined) return null
  const more = group
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([, , , members = '']) => members.split(',').includes(found))
    .map(([, , number]) => Number(number))
  return { name: found, uid: Number(uid), gids: [Number(gid), ...more] }
}

export interface Mount {
  readonly at: string
  readonly type: string
  readonly options: readonly string[]
}

/** The mount that a path lies on, by /proc/self/mountinfo: the longest that leads to it, and of equals the last. */
export function mountOf(path: string, mountinfo: string): Mount {
  const mounts = mountinfo.split('\n').flatMap((line): readonly Mount[] => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , , at = '', options = ''] = before.split(' ')
    const [type = '', , superOptions = ''] = after.split(' ')
    if (at === '') return []
    // Read-only is said of the mount or of the file system below it.
    const readOnly = superOptions.split(',').includes('ro') ? ['ro'] : []
    const plain = at.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    return [{ at: plain, type, options: [...new Set([...options.split(','), ...readOnly])] }]
  })
  const leads = ({ at }: Mount) => at === '/' || path === at || path.startsWith(`${at}/`)
  return mounts
    .filter(leads)
    .reduce((best, one) => (one.at.length >= best.at.length ? one : best), { at: '/', type: 'unknown', options: [] })
}

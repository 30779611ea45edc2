// Owns reading HAProxy's `show stat`: one line of comma-separated values for each frontend, server and backend.

export type Row = Readonly<Record<string, string>>

export function rowsOf(csv: string): readonly Row[] {
  const [head = '', ...lines] = csv.trim().split('\n')
  const names = head.replace(/^# /, '').split(',')
  return lines.map((line) => {
    const values = line.split(',')
    return Object.fromEntries(names.map((name, at) => [name, values[at] ?? '']))
  })
}

export const isFront = (row: Row): boolean => row.svname === 'FRONTEND'
export const isBack = (row: Row): boolean => row.svname === 'BACKEND'
export const isServer = (row: Row): boolean => !isFront(row) && !isBack(row)

/** The row of one server, named as the admin socket names it: backend/server. */
export const isOf =
  (server: string) =>
  (row: Row): boolean =>
    `${row.pxname}/${row.svname}` === server

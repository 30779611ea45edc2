// Owns the table of a campaign: one row an operation in a state, in Markdown, and the sentences about what did not hold.

export interface Row {
  readonly label: string
  readonly counts: Readonly<Record<string, number>>
  readonly recoveryMs: number
  readonly wrong: readonly string[]
}

interface Sum {
  points: number
  counts: Map<string, number>
  slowestMs: number
}

export class Table {
  readonly #rows = new Map<string, Sum>()
  readonly failures: string[] = []
  slowestMs = 0

  get points(): number {
    return [...this.#rows.values()].reduce((sum, row) => sum + row.points, 0)
  }

  add({ label, counts, recoveryMs, wrong }: Row): void {
    const sum = this.#rows.get(label) ?? { points: 0, counts: new Map(), slowestMs: 0 }
    sum.points += 1
    for (const [name, count] of Object.entries(counts)) sum.counts.set(name, (sum.counts.get(name) ?? 0) + count)
    sum.slowestMs = Math.max(sum.slowestMs, recoveryMs)
    this.slowestMs = Math.max(this.slowestMs, recoveryMs)
    this.#rows.set(label, sum)
    this.failures.push(...wrong)
  }

  text(): string {
    const columns = [...new Set([...this.#rows.values()].flatMap(({ counts }) => [...counts.keys()]))]
    const sorted = [...this.#rows].toSorted(([one], [other]) => (one < other ? -1 : 1))
    const rows = sorted.map(([label, sum]) => cells(label, sum, columns))
    const all: Sum = { points: 0, counts: new Map(), slowestMs: this.slowestMs }
    for (const { points, counts } of this.#rows.values()) {
      all.points += points
      for (const [name, count] of counts) all.counts.set(name, (all.counts.get(name) ?? 0) + count)
    }
    const head = ['state', 'operation', 'points', ...columns, 'slowest recovery, ms']
    return [head, head.map(() => '---'), ...rows, cells('all | ', all, columns)]
      .map((row) => `| ${row.join(' | ')} |\n`)
      .join('')
  }
}

function cells(label: string, { points, counts, slowestMs }: Sum, columns: readonly string[]): string[] {
  const [state = '', ...operation] = label.split(' | ')
  const counted = columns.map((name) => String(counts.get(name) ?? 0))
  return [state, operation.join(', '), String(points), ...counted, slowestMs === 0 ? '' : String(Math.round(slowestMs))]
}

// Owns reading what a program serves at /metrics, as Prometheus would: samples with their labels.
import { NODE_STATES } from '#fleet/roster.ts'

export interface Scraped {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-z]+)="((?:[^"\\]|\\.)*)"/g

/** @throws when a line is neither a comment nor a sample */
export function samplesIn(text: string): readonly Scraped[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [, name = '', labels = '', value = ''] = LINE.exec(line) ?? []
    if (name === '') throw new Error(`no sample: ${line}`)
    const pairs = [...labels.matchAll(LABEL)].map(([, label = '', said = '']) => [label, said])
    return { name, labels: Object.fromEntries(pairs), value: value === '+Inf' ? Infinity : Number(value) }
  })
}

/** The value of the one sample with these labels; undefined where there is none. */
export function valueIn(samples: readonly Scraped[], name: string, labels: Scraped['labels'] = {}): number | undefined {
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )
  if (found.length > 1) throw new Error(`${found.length} samples of ${name} have ${JSON.stringify(labels)}`)
  return found[0]?.value
}

/** Of each ring: its roster, and what its states and its phases sum to. */
export function sumsIn(samples: readonly Scraped[]) {
  const sum = (name: string, ring: string | undefined) =>
    samples
      .filter((sample) => sample.name === name && sample.labels.ring === ring)
      .reduce((total, { value }) => total + value, 0)
  return samples
    .filter(({ name }) => name === 'conductor_roster_nodes')
    .map(({ labels: { ring = '' }, value: roster }) => {
      const states = sum('conductor_nodes', ring)
      const phases = sum('conductor_phase_nodes', ring)
      const each = NODE_STATES.map((state) => valueIn(samples, 'conductor_nodes', { ring, state }))
      return { ring, roster, states, phases, complete: !each.includes(undefined) }
    })
}

// Owns what the load generator and the demo say to each other, and how an answer is judged.

/** What the load generator is asked to do: requests to each of these addresses, by node name. */
export interface LoadOrder {
  readonly urls: Readonly<Record<string, string>>
  readonly perSecond: number
}

/** What became of one node's requests so far. */
export interface NodeLoad {
  sent: number
  /** Answered with a whole page of one build. */
  served: number
  failed: number
  /** Answered with the files of two builds. */
  mixed: number
  open: number
  /** The longest that an answer took. */
  longestMs: number
  /** The build of the newest whole answer, "" before the first. */
  build: string
  /** The first few reasons of failed and of mixed answers. */
  readonly why: { readonly failed: string[]; readonly mixed: string[] }
}

/** The moment, wall time, at which a node's answers changed to another build. */
export interface Sighting {
  readonly node: string
  readonly build: string
  readonly atMs: number
}

export interface LoadReport {
  readonly nodes: Readonly<Record<string, NodeLoad>>
  /** New since the last report. */
  readonly sightings: readonly Sighting[]
  /** Told to stop, and the last answer has come. */
  readonly over: boolean
}

export type Answer =
  | { readonly verdict: 'served'; readonly build: string }
  | { readonly verdict: 'failed' | 'mixed'; readonly why: string }

/** Reads the builds of both files out of an answer. Anything but a whole page of one build is a failure. */
export function judge(status: number, body: string): Answer {
  if (status !== 200) return { verdict: 'failed', why: `status ${status}: ${body.trim().slice(0, 100)}` }
  const layout = /data-layout="([^"]+)"/.exec(body)?.[1]
  const content = /data-content="([^"]+)"/.exec(body)?.[1]
  if (layout === undefined || content === undefined) return { verdict: 'failed', why: 'half a page' }
  if (layout !== content) return { verdict: 'mixed', why: `layout of ${layout}, content of ${content}` }
  return { verdict: 'served', build: layout }
}

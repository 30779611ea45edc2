// Owns the start and the end of the embedded Consul-compatible agent.

export interface RunningAgent {
  readonly url: string
  close(): Promise<void>
}

/** Starts the embedded agent. `port` 0 (the default) takes a free one. */
export async function startAgent(_options: { host?: string; port?: number } = {}): Promise<RunningAgent> {
  throw new Error('the embedded agent is not there yet')
}

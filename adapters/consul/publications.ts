// Owns being told that the catalog of an app changed: a build was published, or a check of one passed.
import type { ConsulClient, Entry } from './client.ts'
import { watch } from './watch.ts'

/** Yields once at first and after every change, coalesced, until the signal aborts; never throws for a Consul that is away. */
export async function* publications(
  client: ConsulClient,
  options: { readonly app: string },
  signal: AbortSignal,
): AsyncGenerator<void, void, undefined> {
  const prefix = client.keys(options.app).builds
  const watched = {
    what: prefix,
    read: (index: number, inner: AbortSignal) => client.list(prefix, inner, { index }),
    print: (entries: readonly Entry[]) => entries.map(({ key, modifyIndex }) => `${key} ${modifyIndex}`).join('\n'),
    isAbsent: (entries: readonly Entry[]) => entries.length === 0,
    gatherMs: () => 100,
  }
  const { clock, log, waitMs } = client
  for await (const event of watch(watched, { clock, log, waitMs, pace: { absentMs: 1_000 } }, signal)) {
    if (event.type === 'answer') yield
  }
}

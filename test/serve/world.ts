// Owns the setting of what is measured: a real Consul, a ring without nodes yet, and a daemon in a process of its own.
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { catalog } from '#adapters/consul/catalog.ts'
import { ledger } from '#adapters/consul/ledger.ts'
import { writeTarget } from '#fleet/wire.ts'
import { connect } from '#test/support/connect.ts'
import { startConsul } from '#test/support/consul.ts'
import { A, APP, B, RING, settledOn } from '#test/support/rollout-sim.ts'
import { type DaemonProcess, servingProcess } from '#test/support/serving.ts'
import { tmp } from '#test/support/tmp.ts'
import { until } from '#test/support/until.ts'
import { entryOf } from '#test/support/wishes.ts'

interface Status {
  readonly rings: readonly { readonly counts: { readonly total: number; readonly silent: number } }[]
  readonly rollout: { readonly build: string; readonly phase: string } | null
}

/** A and B are published, the ring is ordered to run A. */
export async function world(t: TestContext, { nodes }: { readonly nodes: number }) {
  const { url } = await startConsul(t)
  const { client, signal } = connect(t, { url })
  const book = ledger(client, { app: APP })
  await client.put(client.keys(APP).target(RING), writeTarget(settledOn(A, null, 1)), signal)
  for (const build of [A, B])
    await catalog(client, { app: APP }).put(
      entryOf(build, { good: build === A ? { [RING]: '2026-11-22T16:04:30Z' } : {} }),
      0,
      signal,
    )
  const dir = await tmp(t, 'serve')
  await writeFile(join(dir, 'hotcold.yaml'), `app: ${APP}\nplan: [{ ring: ${RING}, progressSeconds: 0 }]\n`)
  const daemon = await servingProcess(t, { dir, url }, '--by', 'hotcold')
  await daemon.leads()
  const seen = (of: DaemonProcess, count = nodes) =>
    until('it sees every node', async () => {
      const { rings } = await of.json<Status>('/api/v1/status')
      return rings[0]?.counts.total === count && rings[0].counts.silent === 0
    })
  return { url, daemon, fleet: { app: APP, ring: RING, client, ledger: book, seen } }
}

/** A rollout that waits for its nodes to stage, as long as they do not. */
export async function openRollout(
  t: TestContext,
  { ledger: book }: { readonly ledger: ReturnType<typeof ledger> },
  daemon: DaemonProcess,
): Promise<void> {
  const expires = new Date(Date.now() + 60_000).toISOString()
  await book.ask(
    { id: randomUUID(), verb: 'release', args: { build: B }, by: 'ana', expires, generations: {} },
    t.signal,
  )
  await until('it drives', async () => (await daemon.json<Status>('/api/v1/status')).rollout?.phase === 'staging')
}

// Owns three rings of four nodes on A on a real Consul, with B published for a plan that passes through them.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Conducting, conducting } from './conducting.ts'
import { startConsul } from './consul.ts'
import { A, B } from './rollout-sim.ts'
import { until } from './until.ts'

export const RINGS = ['staging', 'canary', 'production'] as const

/** @param smoke text of `smoke.sh`, which a plan may name */
export async function threeRings(
  t: TestContext,
  { plan, smoke }: { readonly plan: readonly object[]; readonly smoke: string },
): Promise<{ readonly fleet: Conducting; readonly url: string }> {
  const { url } = await startConsul(t)
  const fleet = await conducting(t, { url, nodes: 4, rings: RINGS, config: { plan, maxUnavailable: '100%' } })
  await writeFile(join(fleet.dir, 'smoke.sh'), smoke)
  await fleet.publish(A)
  await until('the nodes report', async () => (await fleet.conduct('status')).stdout.match(/4 nodes/g)?.length === 3)
  const simple = join(fleet.dir, 'simple.yaml')
  await writeFile(simple, `rings: [${RINGS.join(', ')}]\n`)
  const first = await fleet.conduct('release', '--config', simple)
  assert.equal(first.code, 0, first.stderr)
  await fleet.publish(B)
  return { fleet, url }
}

// Owns what the puller's commands print for people.
import { FleetError } from '#fleet/errors.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { Verified } from './commands.ts'

/** Where a node stands, one fact a line. */
export function statusLines(status: NodeStatus, running: boolean): readonly string[] {
  const { node, app, ring, phase, hot, cold, armed, generation, refusal, troubles } = status
  const lines = [
    `${node} of ${app}/${ring}: ${phase}${running ? '' : ', no puller is running'}`,
    `  hot ${hot ?? 'nothing yet'}, cold ${cold ?? 'not complete'}${armed ? ' (armed)' : ''}, generation ${generation}`,
  ]
  if (refusal !== null) lines.push(`  refuses ${refusal.build}: ${refusal.code}: ${refusal.message}`)
  for (const { code, message } of troubles) lines.push(`  ${code}: ${message}`)
  return lines
}

export function differs(trees: readonly Verified[]): boolean {
  return trees.some(({ missing, extra, changed }) => missing.length + extra.length + changed.length > 0)
}

export function verifyLines(trees: readonly Verified[]): readonly string[] {
  if (trees.length === 0) return ['there is no complete tree yet']
  return trees.flatMap(({ role, build, missing, extra, changed }) => [
    `${role} ${build}: ${
      missing.length + extra.length + changed.length === 0
        ? 'as its manifest says'
        : `differs from its manifest: +${extra.length} -${missing.length} ~${changed.length}`
    }`,
    ...extra.map((path) => `  + ${path}`),
    ...missing.map((path) => `  - ${path}`),
    ...changed.map((path) => `  ~ ${path}`),
  ])
}

/** What a local rollback came to. @throws FleetError `ROLLOUT_FAILED` when the node does not run `to` */
export function rollbackLine(now: NodeStatus, to: string): string {
  if (now.hot !== to) {
    const why = now.troubles.map(({ message }) => message).join('; ')
    throw new FleetError('ROLLOUT_FAILED', `${now.node} runs ${now.hot ?? 'nothing'}, not ${to}: ${why}`)
  }
  return `${now.node} runs ${to} and stays parked until a record of another rollout or a recall arrives`
}

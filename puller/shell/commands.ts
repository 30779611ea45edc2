// Owns what the commands of this machine may ask of a running puller: its status, a verification, a rollback.
import { describeError, FleetError, isFleetError } from '#fleet/errors.ts'
import type { NodeStatus } from '#fleet/node-status.ts'
import type { Logger } from '#fleet/ports.ts'
import { rollbackTo } from '../core/machine.ts'
import type { NodeState } from '../core/state.ts'
import type { TreeName } from '../core/trees.ts'
import { type Listening, openControl, type Reply } from './listen.ts'
import type { Loop } from './loop.ts'
import type { Trees } from './trees.ts'

export interface CommandWorld {
  readonly root: string
  readonly loop: Loop
  readonly status: () => NodeStatus
  readonly trees: Trees
  readonly log: Logger
}

/** Opens the control socket; a puller whose socket cannot be opened runs without one, and says so. */
export async function openCommands(world: CommandWorld): Promise<Listening | null> {
  const { root, loop, status, trees, log } = world
  const answer = async (method: string, path: string): Promise<Reply | null> => {
    switch (`${method} ${path}`) {
      case 'GET /status':
        return { code: 200, body: status() }
      case 'POST /rollback': {
        const to = rollbackTo(loop.state())
        if (to === null) return { code: 409, body: nothingToGoBackTo(loop.state()) }
        loop.send({ type: 'rollback', by: 'the operator' })
        return { code: 202, body: { to: to.build } }
      }
      case 'POST /verify':
        return await verifyNow(loop, trees)
      default:
        return null
    }
  }
  try {
    return await openControl(root, answer)
  } catch (error) {
    log.warn('commands of this machine will not reach this puller', { detail: describeError(error) })
    return null
  }
}

/** Trees are read by one at a time: a node that is at work on them is not disturbed. */
async function verifyNow(loop: Loop, trees: Trees): Promise<Reply> {
  const { phase, job } = loop.state()
  if (job !== null && job.kind !== 'wait')
    return { code: 409, body: { message: `the node is ${phase} (${job.kind}); try again` } }
  try {
    return { code: 200, body: await verifyTrees(trees, new AbortController().signal) }
  } catch (error) {
    if (!isFleetError(error)) throw error
    return { code: 409, body: { message: `${error.code}: ${describeError(error)}` } }
  }
}

/** Why a local rollback is refused. */
export function nothingToGoBackTo({ cold }: NodeState): { readonly code: 'NO_PREVIOUS'; readonly message: string } {
  const why =
    cold === null ? 'the cold tree is not complete' : `the cold tree holds ${cold.build}, which did not run here before`
  return { code: 'NO_PREVIOUS', message: `there is nothing to go back to: ${why}` }
}

/** What `puller verify` prints: per tree its build and how it differs. */
export interface Verified {
  readonly tree: TreeName
  readonly build: string
  readonly role: 'hot' | 'cold'
  readonly missing: readonly string[]
  readonly extra: readonly string[]
  readonly changed: readonly string[]
}

/** Compares both trees with their manifests; writes nothing. @throws FleetError `HOT_BROKEN` when `hot` leads nowhere */
export async function verifyTrees(trees: Trees, signal: AbortSignal): Promise<readonly Verified[]> {
  const survey = await trees.survey()
  if (survey.hotFault !== null) throw new FleetError('HOT_BROKEN', survey.hotFault.message)
  const verified: Verified[] = []
  for (const role of ['hot', 'cold'] as const) {
    const sealed = survey[role]
    if (sealed === null) continue
    verified.push({ tree: sealed.tree, build: sealed.build, role, ...(await trees.verify(sealed.tree, signal)) })
  }
  return verified
}

// Owns why a node stands where it stands: silence before failure, failure before trouble, trouble before the phase it is in.
import { told, type Why } from './case.ts'
import { NODE_REASONS, type NodeReason, reasonOfRefusal, reasonOfTroubles } from './node-reasons.ts'
import type { NodePicture, Picture, RingPicture } from './picture.ts'

export function nodeWhys(picture: Picture): readonly (Why & { readonly ring: string })[] {
  return picture.rings.flatMap((ring) =>
    ring.nodes.map((node) => ({ ...nodeWhy(node, ring, picture), ring: ring.ring })),
  )
}

const CALM: readonly NodeReason[] = ['node-settled', 'node-unordered']

function nodeWhy(node: NodePicture, { ring, target }: RingPicture, picture: Picture): Why {
  const build = target?.build ?? ''
  const code = reasonOf(node, build)
  return told({
    about: node.node,
    code,
    spec: NODE_REASONS[code],
    words: { app: picture.app, build, id: picture.rollout?.id ?? '', ring, node: node.node },
    evidence: evidenceOf(node),
    nodes: [node.node],
    waits: !CALM.includes(code),
  })
}

function reasonOf(node: NodePicture, build: string): NodeReason {
  const { state, waived, refusal, troubles, phase } = node
  if (waived !== null && state !== 'converged') return 'node-waived'
  if (node.silent) return troubles.some(({ code }) => code.startsWith('RECORD_')) ? 'node-unreadable' : 'node-silent'
  if (refusal !== null && refusal.build === build) return reasonOfRefusal(refusal.code)
  const troubled = reasonOfTroubles(troubles)
  if (phase === 'parked') return troubled === 'node-crashed' ? troubled : 'node-parked'
  if (troubled !== null) return troubled
  if (build === '') return 'node-unordered'
  if (state === 'converged') return 'node-settled'
  return state === 'staged' ? 'node-staged' : (PHASES[phase] ?? 'node-behind')
}

const PHASES: Readonly<Record<string, NodeReason>> = {
  idle: 'node-behind',
  staged: 'node-behind',
  fetching: 'node-fetching',
  draining: 'node-draining',
  swapping: 'node-swapping',
  restarting: 'node-restarting',
  verifying: 'node-verifying',
  reverting: 'node-reverting',
  parked: 'node-parked',
}

function evidenceOf({ phase, hot, cold, generation, refusal, troubles, progress, waived, at }: NodePicture) {
  const said = at === '' ? 'it has said nothing that can be read' : `it said ${phase} at ${at}`
  const bytes = progress === null ? [] : [`${progress.doneBytes} of ${progress.totalBytes} bytes fetched`]
  return [
    ...(waived === null ? [] : [`waived by ${waived.by}: ${waived.reason}`]),
    ...(refusal === null ? [] : [`refuses ${refusal.build}: ${refusal.code} ${refusal.message}`]),
    ...troubles.map(({ code, message }) => `${code}: ${message}`),
    `${said}: hot ${hot ?? 'nothing'}, cold ${cold ?? 'nothing'}, generation ${generation}`,
    ...bytes,
  ]
}

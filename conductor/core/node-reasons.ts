// Owns the table of reasons why a node stands where it stands, and which trouble or refusal of a node leads to which of them.
import { table } from './reasons.ts'

const AGAIN = 'the puller tries again by itself, with growing pauses'
const RETRY = 'at its next try, within five minutes'
const SOMEBODY = 'when somebody types it'
const SAYS = 'when the node says so'

export const NODE_REASONS = table({
  'node-settled': ['The node runs what it is ordered', 'nothing', 'it is done', 'conduct status --nodes'],
  'node-unordered': ['Nothing is ordered of the node', 'it keeps what it runs', SOMEBODY, 'conduct release'],
  'node-silent': [
    'The session of the node is gone',
    'its puller may still obey orders, and nobody hears of it; it is counted as out of service',
    'when its puller reports',
    'puller status, on {node}; conduct waive {node} --reason WHY goes on without it',
  ],
  'node-unreadable': [
    'The status of the node cannot be read',
    'it counts as silent until it writes one that can be read',
    'when its puller writes its status again',
    'puller status, on {node}',
  ],
  'node-waived': [
    'The node was waived',
    'the rollout does not wait for it; it stays counted and shown',
    'until the rollout is over',
    'conduct forget {node} --reason WHY, if it is gone for good',
  ],
  'node-pinned': [
    'The node is pinned',
    'it keeps what it runs until the pin is lifted or expires',
    'when the pin ends',
    'conduct unpin {node}',
  ],
  'node-parked': [
    'The node is parked',
    'it touches nothing until it gets another order or is asked once more',
    SOMEBODY,
    'conduct retry {node}',
  ],
  'node-refuses': [
    'The node refuses the build',
    'it runs what it ran before, and does not try by itself',
    SOMEBODY,
    'conduct retry {node}',
  ],
  'node-impostor': [
    'Another build answered the health check of the node',
    'the rollout is taken back: one such node is enough',
    'at once',
    'puller status, on {node}: look for a second process of the app',
  ],
  'node-drain-failed': [
    'The node did not drain',
    'it runs what it ran before, and does not try by itself',
    SOMEBODY,
    'conduct retry {node}, when its traffic can be moved',
  ],
  'node-hook-failed': [
    'A hook of the node failed',
    'it runs what it ran before, and does not try by itself',
    SOMEBODY,
    'puller check-config, on {node}; then conduct retry {node}',
  ],
  'node-disk-full': ['The disk of the node is full', AGAIN, RETRY, 'df -h, on {node}: make room'],
  'node-disk-fault': ['The disk of the node cannot be written', AGAIN, RETRY, 'puller check-config, on {node}'],
  'node-cold-busy': [
    'Something still uses the cold tree of the node',
    'it stages when nobody uses it any more',
    'when the last process leaves it',
    'fuser -v ROOT/cold, on {node}',
  ],
  'node-cold-quiet': [
    'The cold tree of the node was retired a moment ago',
    'it stages when the tree has been quiet for coldQuietSeconds',
    'after coldQuietSeconds of its config',
    'conduct watch --nodes',
  ],
  'node-assets-failed': [
    'The assets of the build were not published from the node',
    'it does not count as staged, and runs the hook again',
    RETRY,
    'puller status, on {node}: the last words of its assets hook',
  ],
  'node-store-away': ['The node does not get the build from the store', AGAIN, RETRY, 'curl the store, from {node}'],
  'node-store-denied': [
    'The store refuses the node',
    AGAIN,
    RETRY,
    'other store credentials or another clock, on {node}',
  ],
  'node-build-corrupt': [
    'The bytes of the build are not what they must be',
    'the node never runs them, and fetches them again',
    RETRY,
    'conduct quarantine {build} --reason WHY',
  ],
  'node-consul-away': [
    'The node has trouble with Consul',
    'it keeps what it runs and asks again',
    'when Consul answers it',
    'consul members, on {node}',
  ],
  'node-duplicate': [
    'Two pullers report under the name of the node',
    'the first one reports; the other obeys and is not heard',
    SOMEBODY,
    'another node name in the config of one of them',
  ],
  'node-target-rejected': [
    'The node rejects the order of its ring',
    'it keeps what it runs',
    'when an order that it can obey is written',
    'conduct rollback --ring {ring}',
  ],
  'node-drifted': [
    'Files of the node were changed by hand',
    'they are put right with the next build that it stages',
    'with the next release',
    'conduct release {build} --restart',
  ],
  'node-crashed': [
    'The puller of the node was stopped in the middle of its work',
    'it touches nothing until somebody has looked',
    SOMEBODY,
    'puller status, on {node}; then conduct retry {node}',
  ],
  'node-trouble': ['The node reports a trouble', AGAIN, RETRY, 'puller status, on {node}'],
  'node-fetching': [
    'The node brings the build into cold',
    'it is staged when all bytes are there and verified',
    'when its download is done',
    'conduct watch --nodes',
  ],
  'node-staged': [
    'The node has staged the build and waits for its turn',
    'it swaps when the cutoff rises above its place',
    'when those before it are back, within maxUnavailable',
    'conduct plan --nodes',
  ],
  'node-draining': [
    'The node drains',
    'it swaps when its drain is done, and gives up after its time limit',
    'within drain.timeoutSeconds of its config',
    'conduct watch --nodes',
  ],
  'node-swapping': ['The node moves its hot link', 'it verifies then', SAYS, 'conduct watch --nodes'],
  'node-restarting': [
    'The node runs its hooks',
    'it verifies then',
    'within the time of its hooks',
    'puller status, on {node}',
  ],
  'node-verifying': [
    'The node verifies the build',
    'it serves when that passes, and goes back by itself when not',
    'within the time of its verification',
    'conduct watch --nodes',
  ],
  'node-reverting': [
    'The node goes back to what it ran',
    'it refuses the build then',
    SAYS,
    'conduct why {node}, a moment later',
  ],
  'node-behind': [
    'The node has not followed the order of its ring yet',
    'it begins when it reads the order',
    'within seconds, when its watch of Consul works',
    'puller status, on {node}',
  ],
})

export type NodeReason = keyof typeof NODE_REASONS

/** Codes of refusals; every other one is `node-refuses`. */
const OF_REFUSALS: Readonly<Record<string, NodeReason>> = {
  IDENTITY_MISMATCH: 'node-impostor',
  DRAIN_TIMEOUT: 'node-drain-failed',
  HOOK_FAILED: 'node-hook-failed',
  HOOK_TIMEOUT: 'node-hook-failed',
  CRASH_LOOP: 'node-crashed',
}

/** Codes of troubles, the gravest first: of several the first that matches is the reason. */
const OF_TROUBLES: readonly (readonly [pattern: RegExp, reason: NodeReason])[] = [
  [/^CRASH_LOOP$/, 'node-crashed'],
  [/^PINNED$/, 'node-pinned'],
  [/^DUPLICATE_NODE$/, 'node-duplicate'],
  [/^(DISK_FULL|INODES_FULL|DISK_QUOTA)$/, 'node-disk-full'],
  [/^(DISK_|ROOT_|JOURNAL_)/, 'node-disk-fault'],
  [/^(STORE_DENIED|STORE_CLOCK_SKEW)$/, 'node-store-denied'],
  [/^(DIGEST_MISMATCH|MANIFEST_INVALID|DELTA_INVALID|LIMITS_EXCEEDED)$/, 'node-build-corrupt'],
  [/^STORE_/, 'node-store-away'],
  [/^(COLD_BUSY|COLD_UNPROVABLE)$/, 'node-cold-busy'],
  [/^COLD_QUIET$/, 'node-cold-quiet'],
  [/^ASSETS_FAILED$/, 'node-assets-failed'],
  [/^(TARGET_|RECORD_)/, 'node-target-rejected'],
  [/^CONSUL_/, 'node-consul-away'],
  [/^(HOOK_|SPAWN_)/, 'node-hook-failed'],
  [/^DRAIN_/, 'node-drain-failed'],
  [/^(DRIFT|TREE_DIFFERS|HOT_BROKEN)$/, 'node-drifted'],
]

export function reasonOfRefusal(code: string): NodeReason {
  return OF_REFUSALS[code] ?? 'node-refuses'
}

/** Null where it has none. */
export function reasonOfTroubles(troubles: readonly { readonly code: string }[]): NodeReason | null {
  if (troubles.length === 0) return null
  const found = OF_TROUBLES.find(([pattern]) => troubles.some(({ code }) => pattern.test(code)))
  return found?.[1] ?? 'node-trouble'
}

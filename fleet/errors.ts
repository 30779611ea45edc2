// Owns every error a person can meet: one class, one table of stable codes, and what each kind tells the caller to do.

/**
 * What the caller should do: `usage` mend the call or the config; `refused` a rule said no; `transient` try again later;
 * `conflict` someone else was first, look again; `corrupt` bytes are not what they must be, never use them; `failed` the work was done and did not succeed.
 */
export type ErrorKind = 'usage' | 'refused' | 'transient' | 'conflict' | 'corrupt' | 'failed'

export interface ErrorSpec {
  readonly kind: ErrorKind
  readonly title: string
  /** What to do about it: a command or an action. */
  readonly fix?: string
}

export const ERRORS = {
  // Words and config
  USAGE: { kind: 'usage', title: 'The command was not understood', fix: 'conduct --help' },
  CONFIG_INVALID: { kind: 'usage', title: 'The configuration is not valid', fix: 'docs/samples shows every key' },
  CONFIG_MISSING: { kind: 'usage', title: 'No configuration was found', fix: 'name one with --config' },
  NAME_INVALID: { kind: 'usage', title: 'A name breaks the grammar' },

  // Consul
  CONSUL_UNREACHABLE: { kind: 'transient', title: 'Consul did not answer' },
  CONSUL_NO_LEADER: { kind: 'transient', title: 'Consul has no leader' },
  CONSUL_STALLED: { kind: 'transient', title: 'A request to Consul passed its deadline' },
  CONSUL_BAD_ANSWER: {
    kind: 'transient',
    title: 'The answer did not have the shape of a Consul answer',
    fix: 'look for a proxy between here and Consul',
  },
  CONSUL_DENIED: {
    kind: 'refused',
    title: 'Consul refused the token',
    fix: 'another consul.token or consul.tokenFile',
  },
  CONSUL_LIMITED: { kind: 'transient', title: 'Consul is limiting this client' },
  CONSUL_TOO_LARGE: { kind: 'usage', title: 'The record is too large for Consul' },
  DUPLICATE_NODE: {
    kind: 'conflict',
    title: 'Another puller reports under this node name',
    fix: 'give one of them another node name',
  },
  LEASE_HELD: { kind: 'refused', title: 'Someone else is deploying this app', fix: 'conduct status' },
  LEASE_LOST: { kind: 'conflict', title: 'The lease was lost: nothing was written', fix: 'conduct status' },
  WRITE_CONFLICT: { kind: 'conflict', title: 'The record changed while we were deciding: nothing was written' },

  // Target records, as a puller or a conductor meets them
  TARGET_GONE: {
    kind: 'corrupt',
    title: 'The target key is gone',
    fix: 'conduct rollback, or conduct release --adopt',
  },
  TARGET_EMPTY: { kind: 'corrupt', title: 'The target key is empty', fix: 'conduct rollback' },
  TARGET_INVALID: { kind: 'corrupt', title: 'The target record was rejected', fix: 'conduct rollback' },
  TARGET_TOO_NEW: {
    kind: 'corrupt',
    title: 'The target record is of a newer version than this program reads',
    fix: 'upgrade this program',
  },
  TARGET_FOREIGN: { kind: 'corrupt', title: 'The target record is for another app or ring' },
  TARGET_REGRESSED: {
    kind: 'corrupt',
    title: 'The target record is of an older generation',
    fix: 'conduct release or conduct rollback writes above it',
  },
  TARGET_UNRESOLVED: { kind: 'corrupt', title: 'The ordered build has no known manifest' },
  RECORD_INVALID: { kind: 'corrupt', title: 'A record was rejected' },
  RECORD_TOO_NEW: {
    kind: 'corrupt',
    title: 'A record is of a newer version than this program reads',
    fix: 'upgrade this program',
  },
  ORPHAN_WRITE: {
    kind: 'refused',
    title: 'A target was written by someone who does not hold the lease',
    fix: 'conduct rollback, or conduct release --adopt',
  },

  // The store and artifacts
  BUILD_UNKNOWN: { kind: 'refused', title: 'No such build is published', fix: 'conduct builds' },
  BUILD_DIFFERS: {
    kind: 'refused',
    title: 'This build id is published already with other content',
    fix: 'publish under another --build id',
  },
  BUILD_EMPTY: { kind: 'refused', title: 'There is nothing in the directory to publish' },
  ENTRY_REFUSED: { kind: 'refused', title: 'Something in the directory cannot be deployed' },
  STORE_MISSING: { kind: 'transient', title: 'The object is not in the store' },
  STORE_DENIED: {
    kind: 'refused',
    title: 'The store refused our credentials',
    fix: 'other credentials: AWS_ACCESS_KEY_ID, AWS_PROFILE or a role',
  },
  STORE_CLOCK_SKEW: {
    kind: 'refused',
    title: 'The store refused the request because of the clock',
    fix: 'set the clock of this host',
  },
  STORE_UNREACHABLE: { kind: 'transient', title: 'The store did not answer' },
  STORE_STALLED: { kind: 'transient', title: 'The download stalled' },
  STORE_CHANGED: { kind: 'transient', title: 'The object changed while it was read' },
  STORE_BAD_ANSWER: { kind: 'transient', title: 'The store gave an answer that makes no sense' },
  STORE_READ_ONLY: { kind: 'usage', title: 'This store can only be read' },
  DIGEST_MISMATCH: { kind: 'corrupt', title: 'The bytes do not match the build' },
  MANIFEST_INVALID: { kind: 'corrupt', title: 'The manifest was refused' },
  DELTA_INVALID: { kind: 'corrupt', title: 'The delta was refused' },
  LIMITS_EXCEEDED: { kind: 'corrupt', title: 'The build is larger than its limits allow' },

  // A node's disk and processes
  ROOT_TAKEN: { kind: 'refused', title: 'Another puller owns this root' },
  ROOT_BUSY: { kind: 'transient', title: 'The puller is at work on its trees' },
  ROOT_UNFIT: { kind: 'usage', title: 'The root cannot be used', fix: 'puller check-config' },
  DISK_FULL: { kind: 'transient', title: 'Not enough space on the volume of the trees' },
  INODES_FULL: { kind: 'transient', title: 'Not enough inodes on the volume of the trees' },
  DISK_QUOTA: { kind: 'transient', title: 'The disk quota is exceeded' },
  DISK_READ_ONLY: { kind: 'transient', title: 'The volume of the trees is read-only' },
  DISK_ERROR: { kind: 'transient', title: 'The disk reported an error' },
  DISK_DENIED: { kind: 'transient', title: 'The puller may not write where it must', fix: 'puller check-config' },
  COLD_BUSY: { kind: 'transient', title: 'The cold tree is still in use' },
  COLD_UNPROVABLE: { kind: 'transient', title: 'It cannot be proved that nobody uses the cold tree' },
  COLD_QUIET: { kind: 'transient', title: 'The cold tree was retired a moment ago' },
  TREE_DIFFERS: { kind: 'corrupt', title: 'A tree differs from its manifest' },
  HOT_BROKEN: { kind: 'corrupt', title: 'The hot tree is not sound' },
  DRIFT: { kind: 'corrupt', title: 'Files of a tree were changed on this node' },
  JOURNAL_INVALID: { kind: 'corrupt', title: 'The journal was unreadable and was rebuilt' },
  JOURNAL_TOO_NEW: { kind: 'usage', title: 'The journal is of a newer puller', fix: 'upgrade the puller' },
  DRAIN_TIMEOUT: { kind: 'failed', title: 'The node did not drain in time' },
  HOOK_FAILED: { kind: 'failed', title: 'A hook failed' },
  ASSETS_FAILED: { kind: 'transient', title: 'The assets of a build were not published' },
  HOOK_TIMEOUT: { kind: 'failed', title: 'A hook ran too long' },
  SPAWN_FAILED: { kind: 'transient', title: 'A process could not be started' },
  VERIFY_FAILED: { kind: 'failed', title: 'The build did not become healthy' },
  IDENTITY_MISMATCH: { kind: 'failed', title: 'Another build answered the health check' },
  SWAP_FAILED: { kind: 'failed', title: 'The hot link could not be moved' },
  CRASH_LOOP: { kind: 'failed', title: 'The puller died three times in the same phase' },
  PARKED: { kind: 'failed', title: 'The node is parked' },
  PINNED: { kind: 'refused', title: 'The node is pinned', fix: 'conduct unpin NODE' },
  NO_PREVIOUS: {
    kind: 'refused',
    title: 'There is no previous build to go back to',
    fix: 'conduct builds, then conduct release BUILD',
  },

  // What gates ask
  METRICS_UNREACHABLE: { kind: 'transient', title: 'Prometheus did not answer' },
  METRICS_STALLED: { kind: 'transient', title: 'Prometheus did not answer in time' },
  METRICS_DENIED: { kind: 'refused', title: 'Prometheus refused the credentials', fix: 'other headers of the gate' },
  METRICS_BAD_QUERY: { kind: 'usage', title: 'Prometheus refused the query', fix: 'another query of the gate' },
  METRICS_BAD_ANSWER: {
    kind: 'transient',
    title: 'The answer did not have the shape of a Prometheus answer',
    fix: 'look for a proxy between here and Prometheus',
  },
  GATE_NO_ANSWER: { kind: 'transient', title: 'Nobody answered the gate' },
  METRICS_PARTIAL: { kind: 'transient', title: 'Prometheus answered in part only' },

  // Rollouts
  NOT_INITIALISED: { kind: 'refused', title: 'This app has no target key yet', fix: 'conduct init' },
  RING_EMPTY: { kind: 'refused', title: 'The ring has no nodes', fix: 'start a puller with this app and ring' },
  BUILD_QUARANTINED: {
    kind: 'refused',
    title: 'This build may not be released',
    fix: 'conduct clear BUILD --reason WHY lifts the quarantine',
  },
  PLAN_UNFIT: {
    kind: 'refused',
    title: 'The plan cannot be carried out',
    fix: 'shorter soaks in the plan, or another slotMinutes',
  },
  CAP_EXCEEDED: {
    kind: 'refused',
    title: 'More nodes than allowed would be out of service at once',
    fix: '--now takes them all at once',
  },
  ROLLOUT_OPEN: { kind: 'refused', title: 'Another rollout is open', fix: 'conduct status' },
  ROLLOUT_NONE: { kind: 'refused', title: 'No rollout is open', fix: 'conduct status' },
  ROLLOUT_RECALLING: { kind: 'refused', title: 'The rollout is being rolled back', fix: 'conduct watch' },
  ROLLOUT_STOPPED: { kind: 'refused', title: 'The rollout is stopped', fix: 'conduct resume' },
  NOTHING_TO_PROMOTE: { kind: 'refused', title: 'No stage waits for approval', fix: 'conduct status' },
  RING_PARTIAL: { kind: 'refused', title: 'A ring runs two builds', fix: 'conduct rollback' },
  ON_HOLD: { kind: 'refused', title: 'The line is stopped', fix: 'conduct unhold' },
  NODE_UNKNOWN: { kind: 'refused', title: 'No such node', fix: 'conduct status --nodes' },
  NODE_ALIVE: { kind: 'refused', title: 'The node is alive', fix: 'stop its puller first' },
  ROLLOUT_FAILED: { kind: 'failed', title: 'The rollout did not succeed' },
  NOT_CONVERGED: { kind: 'failed', title: 'Not every node arrived in time', fix: 'conduct status' },
  CHECK_NOT_PASSED: {
    kind: 'refused',
    title: 'A required check has not passed',
    fix: 'conduct check BUILD NAME passed',
  },
  WINDOW_CLOSED: { kind: 'refused', title: 'Outside deploy hours', fix: 'conduct schedule next' },
  LINEAGE_BROKEN: {
    kind: 'refused',
    title: 'The build is not known to contain what runs now',
    fix: 'conduct publish DIR --contains COMMIT, or lineage.checkout in the config',
  },
  PREVIOUS_UNKNOWN: { kind: 'refused', title: 'There would be no way back', fix: 'conduct publish what runs now' },
  STORE_INCOMPLETE: {
    kind: 'refused',
    title: 'The store does not hold the whole build',
    fix: 'conduct publish DIR --build BUILD puts back what is missing',
  },
  NO_ELIGIBLE_BUILD: { kind: 'refused', title: 'There is no build to release', fix: 'conduct publish DIR' },
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof ERRORS

/** Every error of ours: a stable code of the table, the detail of this case, and the cause, always kept. */
export class FleetError extends Error {
  override readonly name = 'FleetError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, detail: string, options?: { cause?: unknown }) {
    super(detail, options)
    this.code = code
  }

  get spec(): ErrorSpec {
    return ERRORS[this.code]
  }

  get kind(): ErrorKind {
    return this.spec.kind
  }
}

export function isFleetError(error: unknown, ...codes: readonly ErrorCode[]): error is FleetError {
  return error instanceof FleetError && (codes.length === 0 || codes.includes(error.code))
}

/** The text of anything thrown, causes included, on one line. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error, depth = 0; at !== undefined && depth < 4; depth += 1) {
    parts.push(at instanceof Error ? at.message || at.name : String(at))
    at = at instanceof Error ? at.cause : undefined
  }
  return parts.join(': ').replace(/\s+/g, ' ')
}

/** Exit codes of both programs: 0 done, 1 failed, 2 usage, 3 refused by policy, 4 the world did not answer, 70 our bug. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof FleetError)) return 70
  switch (error.kind) {
    case 'usage':
      return 2
    case 'refused':
    case 'conflict':
      return 3
    case 'transient':
      return 4
    case 'corrupt':
    case 'failed':
      return 1
  }
}

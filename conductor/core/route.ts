// Owns the way that the plan of the config describes: its steps as the stages of a rollout, Slack's as the default, and whether it fits its slot.
import type { Name } from '#fleet/build.ts'
import { formatDuration } from '#fleet/duration.ts'
import type { Rollout, Stage } from '#fleet/rollout.ts'
import type { Limits } from './standing.ts'

/** One entry of the plan: a ring, in one or more shares. */
export interface Step {
  readonly ring: Name
  /** In percent, rising; all at once when left out. */
  readonly shares?: readonly number[] | undefined
  readonly soakSeconds?: number | undefined
  readonly smoke?: readonly string[] | undefined
  readonly smokeSeconds?: number | undefined
  /** Every gate that is for the ring when left out. */
  readonly gates?: readonly string[] | undefined
  readonly approval?: 'auto' | 'manual' | undefined
  readonly prestage?: 'previous' | 'start' | undefined
  readonly barrier?: boolean | undefined
  readonly progressSeconds?: number | undefined
  readonly silentNodes?: 'wait' | 'proceed' | undefined
  readonly silentSeconds?: number | undefined
  readonly autoRelease?: boolean | undefined
  readonly maxUnavailable?: number | undefined
  readonly failureBudget?: number | undefined
}

/** The plan of an app: its steps, and the time that a rollout has. */
export interface Route {
  readonly steps: readonly Step[]
  readonly slotMinutes: number
  /** The gates of the config, and the rings that each is for; null: every ring. */
  readonly gates?: readonly { readonly name: string; readonly rings: readonly string[] | null }[]
}

export const PROGRESS_SECONDS = 900
export const SMOKE_SECONDS = 120
export const SILENT_SECONDS = 300
export const SLOT_MINUTES = 40

/** Slack's steps: staging, dogfood, canary, then production in five. */
export const SLACK: readonly Step[] = [
  { ring: 'staging' as Name },
  { ring: 'dogfood' as Name, soakSeconds: 120 },
  { ring: 'canary' as Name, soakSeconds: 120 },
  { ring: 'production' as Name, shares: [10, 25, 50, 75, 100], soakSeconds: 60 },
]

/** Every ring at once, one after the other, without waiting for anything but its nodes: no gate keeps a way back. */
export function fastRoute(rings: readonly Name[]): Route {
  const steps = rings.map((ring) => ({ ring, prestage: 'start', progressSeconds: 0, gates: [] }) as const)
  return { steps, slotMinutes: SLOT_MINUTES }
}

/** The stages of a rollout to these rings. A ring that the plan does not know is a single one. */
export function stagesOf({ steps }: Route, rings: readonly Name[]): readonly Stage[] {
  const known = steps.filter(({ ring }) => rings.includes(ring))
  const others = rings.filter((ring) => !steps.some((step) => step.ring === ring)).map((ring) => ({ ring }))
  return [...known, ...others].flatMap(stagesOfStep)
}

function stagesOfStep(step: Step): readonly Stage[] {
  const { ring, shares = [100], soakSeconds = 0, smoke, smokeSeconds, gates, approval, barrier } = step
  const progressSeconds = step.progressSeconds ?? PROGRESS_SECONDS
  const each = {
    ring,
    ...(soakSeconds > 0 && { soakSeconds }),
    ...(smoke !== undefined && { smoke, smokeSeconds: smokeSeconds ?? SMOKE_SECONDS }),
    ...(gates !== undefined && { gates }),
    ...(barrier === true && { barrier }),
    ...(progressSeconds > 0 && { progressSeconds }),
    ...(step.silentNodes === 'proceed' && { silentSeconds: step.silentSeconds ?? SILENT_SECONDS }),
  }
  return shares.map((share, index) => {
    // The ring as a whole is approved, not each share of it.
    const manual = approval === 'manual' && index === shares.length - 1
    return { ...each, share, ...(manual && { approval }) }
  })
}

/** Rings to which every build goes when it is published: no calendar is asked there. */
export function autoRings({ steps }: Route): readonly Name[] {
  return [...new Set(steps.filter(({ autoRelease }) => autoRelease === true).map(({ ring }) => ring))]
}

/** When each ring is staged at the earliest. */
export function prestageOf({ steps }: Route, rings: readonly Name[]): NonNullable<Rollout['prestage']> {
  const when = (ring: Name) => steps.find((step) => step.ring === ring)?.prestage ?? 'previous'
  return Object.fromEntries(rings.map((ring) => [ring, when(ring)]))
}

/** Limits that a step sets for its ring; the first step that does counts. */
export function limitsOf(steps: readonly Step[]): Readonly<Record<string, Limits>> {
  const limits: Record<string, Limits> = {}
  for (const { ring, maxUnavailable, failureBudget } of steps) {
    const own = {
      ...(maxUnavailable !== undefined && { maxUnavailable }),
      ...(failureBudget !== undefined && { failureBudget }),
    }
    if (Object.keys(own).length > 0) limits[ring] = { ...own, ...limits[ring] }
  }
  return limits
}

/** What the stages wait for by plan alone, in seconds. */
export function soakSumSeconds(stages: readonly Stage[]): number {
  return stages.reduce((sum, { soakSeconds = 0 }) => sum + soakSeconds, 0)
}

/** Bytes that stages may take of the rollout record, which has room for 8 KiB of everything. */
const STAGES_BYTES = 4_096

/** Why these stages cannot be a rollout, in a sentence with the sum; null when they can. */
export function unfitRoute(stages: readonly Stage[], { slotMinutes }: Route): string | null {
  const sum = soakSumSeconds(stages)
  if (sum > slotMinutes * 60) {
    const parts = stages.flatMap(({ ring, share, soakSeconds = 0 }) =>
      soakSeconds === 0 ? [] : [`${ring} ${share} % ${formatDuration(soakSeconds * 1_000)}`],
    )
    const [whole, slot] = [sum * 1_000, slotMinutes * 60_000].map(formatDuration)
    return `its stages soak ${whole} in all (${parts.join(' + ')}), and a slot has ${slot}`
  }
  const bytes = new TextEncoder().encode(JSON.stringify(stages)).byteLength
  if (bytes <= STAGES_BYTES) return null
  return `its stages take ${bytes} bytes of the rollout record, at most ${STAGES_BYTES} have room: a script in place of a long smoke command helps`
}

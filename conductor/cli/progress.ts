// Owns the live view of a rollout: redrawn in place on a terminal, one line per change elsewhere.

import { type Picture, pictureOf, type RingPicture, type RolloutPicture } from '#conductor/core/picture.ts'
import type { Turn } from '#conductor/shell/reconcile.ts'
import type { Name } from '#fleet/build.ts'
import { formatDuration } from '#fleet/duration.ts'
import type { CatalogEntry, Clock } from '#fleet/ports.ts'
import type { Because } from '#fleet/rollout.ts'
import { renderBecause, serving } from './render.ts'
import { type Paint, plain, type Reporter } from './reporter.ts'
import { counted } from './words.ts'

const BAR = 20
/** In a log, lines that only count on come no more often than this. */
const LINE_MS = 1_000

export class Progress {
  private readonly report: Reporter
  private readonly clock: Clock
  private readonly beganMs: number
  private readonly title: string
  private last = ''
  private lastMs = Number.NEGATIVE_INFINITY
  private lastWhy = ''
  private trouble = ''

  constructor(report: Reporter, clock: Clock, title: string) {
    this.report = report
    this.clock = clock
    this.title = title
    this.beganMs = clock.monotonic()
  }

  get elapsedMs(): number {
    return this.clock.monotonic() - this.beganMs
  }

  /** Shows where the rollout stands after a turn of its driver. */
  turn({ observed, rollout, because, trouble }: Turn, app: Name): void {
    const rings = Object.values(observed.fleet.rings).filter(({ ring }) => ring in rollout.fallbacks)
    const builds: readonly CatalogEntry[] = []
    const facts = { app, rings, fleet: observed.fleet, rollout, lease: null, builds, now: this.clock.now() }
    this.show(pictureOf(facts), because, trouble === null ? null : plain(trouble.message))
  }

  /** Shows a picture that somebody else's driver makes. */
  show(picture: Picture, because: readonly Because[], trouble: string | null): void {
    if (trouble !== null && trouble !== this.trouble) this.note(`${trouble}; trying again`)
    this.trouble = trouble ?? ''
    if (this.report.isLive) this.report.draw(this.block(picture, because))
    else this.lines(picture, because)
  }

  /** A line of its own, with the time since the verb began. */
  note(text: string): void {
    this.report.say(`${this.stamp()}  ${text}`)
  }

  private stamp(): string {
    return formatDuration(this.elapsedMs).padStart(9)
  }

  private block(picture: Picture, because: readonly Because[]): readonly string[] {
    const paint = this.report.paintAside
    const width = Math.max(...picture.rings.map(({ ring }) => ring.length), 0)
    const lines = [
      `${paint.bold(this.title)}  ${paint.dim(`${formatDuration(this.elapsedMs)}  ${stageIn(picture.rollout)}`.trimEnd())}`,
    ]
    for (const ring of picture.rings) {
      const drawn = isYetToCome(ring, picture.rollout) ? paint.dim('·'.repeat(BAR)) : bar(ring, paint)
      lines.push(`  ${ring.ring.padEnd(width)}  ${drawn}  ${this.summary(ring, picture.rollout)}`)
    }
    for (const why of because) lines.push(`  ${paint.dim(renderBecause(why))}`)
    return lines
  }

  /** Where nobody watches, only what changed: a log keeps every line. */
  private lines(picture: Picture, because: readonly Because[]): void {
    const at = stageIn(picture.rollout)
    const where = at === '' ? '' : `${at}; `
    const said = where + picture.rings.map((ring) => `${ring.ring}: ${this.summary(ring, picture.rollout)}`).join('; ')
    const why = because.map(({ code }) => code).join()
    const calm = this.clock.monotonic() - this.lastMs
    if (`${said}${why}` === this.last || (calm < LINE_MS && (why === '' || why === this.lastWhy))) return
    this.last = `${said}${why}`
    this.lastWhy = why === '' ? this.lastWhy : why
    this.lastMs = this.clock.monotonic()
    const [first] = because
    this.note(first === undefined ? said : `${said}; ${renderBecause(first)}`)
  }

  private summary(ring: RingPicture, rollout: RolloutPicture | null): string {
    const { counts, target } = ring
    if (counts.total === 0) return 'no nodes'
    if (target?.build === null || target === null) return counted(counts.total, 'node')
    if (isYetToCome(ring, rollout)) return 'its turn comes'
    const back = rollout?.phase === 'recalling' || rollout?.phase === 'rolledBack'
    const of = `of ${counted(counts.total, 'node')}`
    const rest = (['failed', 'silent'] as const)
      .filter((state) => counts[state] > 0)
      .map((state) => `${counts[state]} ${state}`)
    if (back) {
      const to = rollout.fallbacks[ring.ring]
      return [`${serving(ring, to ?? null).length} ${of} back on ${to ?? 'nothing'}`, ...rest].join(', ')
    }
    const moving = counts.working > 0 ? [`${counts.working} working`] : []
    const lead = target.cutoff === 0 ? `${counts.staged} ${of} staged` : `${counts.converged} ${of} run it`
    return [lead, ...moving, ...rest].join(', ')
  }
}

const FORWARD: readonly string[] = ['staging', 'advancing', 'soaking', 'waiting']

/** `stage 3 of 8, canary 100 %`; nothing when there is only one, or no way forward. */
function stageIn(rollout: RolloutPicture | null): string {
  if (rollout === null || rollout.stage.of < 2 || !FORWARD.includes(rollout.phase)) return ''
  const { index, of, ring, share } = rollout.stage
  return `stage ${index + 1} of ${of}, ${ring} ${share} %`
}

/** A later ring of an open rollout: what its nodes run now says nothing about this one. */
function isYetToCome({ target }: RingPicture, rollout: RolloutPicture | null): boolean {
  const forward = rollout !== null && FORWARD.includes(rollout.phase)
  return forward && target !== null && target.build !== rollout.build && target.rollout !== rollout.id
}

function bar({ counts }: RingPicture, paint: Paint): string {
  const cells = (count: number): number => (counts.total === 0 ? 0 : Math.round((count * BAR) / counts.total))
  const full = cells(counts.converged)
  const half = Math.min(BAR - full, cells(counts.staged))
  const bad = Math.min(BAR - full - half, cells(counts.failed + counts.silent))
  const rest = BAR - full - half - bad
  return `${paint.green('█'.repeat(full))}${paint.cyan('▒'.repeat(half))}${paint.red('×'.repeat(bad))}${paint.dim('░'.repeat(rest))}`
}

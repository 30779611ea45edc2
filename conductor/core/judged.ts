// Owns what is written down of the gates: a verdict when it changes, and at the end of a stage all readings, within the room of a record.
import type { GateMark } from '#fleet/gate.ts'
import type { Rollout } from '#fleet/rollout.ts'
import type { Gathering } from './cohort.ts'
import type { Judged } from './gates.ts'
import type { RolloutEvent } from './reduce.ts'

/** Bytes of a sentence on the rollout record, which carries one for each gate, and in a history entry of its own. */
const MARK_BYTES = 120
const ENTRY_BYTES = 600
const OUTPUT_BYTES = 1_000

/** Verdicts that are new to the record. That a gate was not read yet is no news: the last word stands until there is another. */
export function newVerdicts(rollout: Rollout, judged: readonly Judged[], at: string): readonly RolloutEvent[] {
  return judged.flatMap(({ gate, verdict, reason, message }): readonly RolloutEvent[] => {
    const known = rollout.verdicts?.find((mark) => mark.gate === gate)
    if (reason === 'unread' || (known?.verdict === verdict && known.reason === reason)) return []
    const said = verdict === 'pass' && reason === 'within' ? '' : cutTo(message, MARK_BYTES)
    return [{ type: 'judged', mark: { gate, verdict, reason, message: said, at } }]
  })
}

/** The facts of the history entry of a gate at the end of a stage: all that a replay needs. */
export function closingFacts(
  rollout: Rollout,
  { cohort }: Gathering,
  judged: Judged,
): Readonly<Record<string, unknown>> {
  const { gate, verdict, reason, message, samples, reads, output } = judged
  const { ring, share, stage } = cohort
  return {
    rollout: rollout.id,
    build: rollout.build,
    ring,
    stage,
    share,
    gate,
    verdict,
    reason,
    message: cutTo(message, ENTRY_BYTES),
    end: true,
    reads,
    samples,
    ...(output !== '' && { output: cutTo(output, OUTPUT_BYTES) }),
  }
}

/** A text of at most so many bytes of JSON. */
export function cutTo(text: string, bytes: number): string {
  const size = (part: string) => new TextEncoder().encode(JSON.stringify(part)).byteLength - 2
  if (size(text) <= bytes) return text
  let kept = ''
  let used = size('…')
  for (const letter of text) {
    used += size(letter)
    if (used > bytes) break
    kept += letter
  }
  return `${kept}…`
}

/** The marks with this one in place of the gate's last. */
export function marksWith(marks: readonly GateMark[], mark: GateMark): readonly GateMark[] {
  return [...marks.filter(({ gate }) => gate !== mark.gate), mark].toSorted((a, b) => (a.gate < b.gate ? -1 : 1))
}

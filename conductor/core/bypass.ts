// Owns whether an operator went past something by name when a rollout began: `release --force` and `--emergency`.
import type { Rollout } from '#fleet/rollout.ts'

export function goesPast({ forced = [] }: Rollout, check: string): boolean {
  return forced.includes(check)
}

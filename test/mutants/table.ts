// Owns the table of the mutation guard: every safeguard that a test must hold, in the order in which docs/proof.md shows them.
import { COLD } from './cold.ts'
import { CONDUCTOR } from './conductor.ts'
import { DISK } from './disk.ts'
import type { Mutant } from './mutant.ts'
import { ORDERS } from './orders.ts'
import { RECORDS } from './records.ts'
import { TREES } from './trees.ts'

export const MUTANTS: readonly Mutant[] = [...DISK, ...COLD, ...TREES, ...RECORDS, ...ORDERS, ...CONDUCTOR]

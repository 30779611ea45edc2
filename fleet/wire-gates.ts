// Owns the shape of what gates said, as records carry it.
import * as v from 'valibot'
import { GATE_REASONS, VERDICTS } from './gate.ts'

const line = v.pipe(v.string(), v.maxLength(2_000, 'must be at most 2000 characters'))

export const gateMark = v.object({
  gate: line,
  verdict: v.picklist(VERDICTS),
  reason: v.picklist(GATE_REASONS),
  message: line,
  at: line,
})

// Owns a log that a test can read.
import type { Facts, Logger } from '#fleet/ports.ts'

export interface RecordedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly facts: Facts
}

/** A logger, and the lines it was given so far. */
export function recordedLog(): { readonly log: Logger; readonly lines: RecordedLine[] } {
  const lines: RecordedLine[] = []
  const at =
    (level: RecordedLine['level']) =>
    (message: string, facts: Facts = {}) => {
      lines.push({ level, message, facts })
    }
  return { log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, lines }
}

// Owns what the demo writes while it runs: sentences that stay, and below them, on a terminal, a block that is drawn again.

/** A stream to write to, and whether a person watches it. */
export interface Terminal {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

export interface Screen {
  /** A sentence that stays. */
  say(line: string): void
  /** Replaces the block below the sentences; elsewhere than on a terminal nothing is drawn. */
  draw(lines: readonly string[]): void
  /** Removes the block. */
  clear(): void
}

export function screenOn(terminal: Terminal): Screen {
  let block: readonly string[] = []
  const erase = (): string => (block.length === 0 ? '' : `\x1b[${block.length}A\x1b[J`)
  // A line that wrapped would be two to erase. A terminal that does not know its width says 0.
  const text = (lines: readonly string[]): string =>
    lines.map((line) => `${line.slice(0, (terminal.columns || 80) - 1)}\n`).join('')
  return {
    say(line) {
      terminal.write(`${erase()}${line}\n${text(block)}`)
    },
    draw(lines) {
      if (terminal.isTTY !== true) return
      terminal.write(`${erase()}${text(lines)}`)
      block = lines
    },
    clear() {
      terminal.write(erase())
      block = []
    },
  }
}

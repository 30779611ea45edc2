// Owns the content of benched files: text that compresses as source code does, and bytes that do not compress.
import { createCipheriv } from 'node:crypto'
import { pick, type Random, seeded } from '#bench/kit/random.ts'

const WORDS = 6_000
const LINES = 60_000

/** Letters about as often as in English, so that text has the entropy of text. */
const LETTERS = 'eeeeeeeeeeeetttttttttaaaaaaaaooooooooiiiiiiinnnnnnnsssssshhhhhhrrrrrrddddllllcccuuummmwwffggyyppbbvk'
const MARKS = [' ', ' ', ' ', ' ', '.', ' = ', '(', ')', ', ', ': ', '; ', ' => ', "'", ' { ', ' }', '_']

/** Makes content. One maker gives the same content for the same chances. */
export interface Content {
  text(random: Random, bytes: number): Buffer
  noise(random: Random, bytes: number): Buffer
  /** A mixture, as a database or a bundle of media has it. */
  mixed(random: Random, bytes: number): Buffer
}

export function contentOf(seed: number): Content {
  const lines = linesOf(seeded(seed))
  const content: Content = {
    text(random, bytes) {
      const buffer = Buffer.allocUnsafe(bytes)
      for (let at = 0; at < bytes; ) {
        // Some lines are seen far more often than others, as in real text.
        const line = lines[Math.floor(LINES * random() ** 1.5)] ?? Buffer.alloc(1)
        at += line.copy(buffer, at)
      }
      return buffer
    },
    noise(random, bytes) {
      const key = Buffer.alloc(16)
      for (let at = 0; at < 16; at += 4) key.writeUInt32LE(pick(random, 2 ** 32), at)
      return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes))
    },
    mixed(random, bytes) {
      const parts: Buffer[] = []
      for (let left = bytes; left > 0; left -= 65_536) {
        const part = Math.min(65_536, left)
        parts.push(random() < 0.5 ? content.text(random, part) : content.noise(random, part))
      }
      return Buffer.concat(parts)
    },
  }
  return content
}

function linesOf(random: Random): readonly Buffer[] {
  const words = Array.from({ length: WORDS }, () => {
    const length = 2 + pick(random, 9)
    return Array.from({ length }, () => LETTERS[pick(random, LETTERS.length)]).join('')
  })
  return Array.from({ length: LINES }, () => {
    let line = ' '.repeat(2 * pick(random, 5))
    const most = 15 + pick(random, 70)
    while (line.length < most) {
      line += `${words[Math.floor(WORDS * random() ** 2)]}${MARKS[pick(random, MARKS.length)]}`
    }
    return Buffer.from(`${line}\n`)
  })
}

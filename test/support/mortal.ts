// Owns the end of a test file: it ends when its runner was killed, and soon after its last test whatever still hangs; what it started dies with it.
import { after } from 'node:test'

const runner = process.ppid

/** What a file may still say after its last test. `--test-force-exit` leaves it no time: reports in a full pipe are lost, tests with them. */
const LAST_WORDS_MS = 1_500

// Loaded into the runner as well, which may outlive whoever started it.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  setInterval(() => {
    if (process.ppid !== runner) process.exit(1)
  }, 500).unref()
  after(() => {
    setTimeout(() => process.exit(), LAST_WORDS_MS).unref()
  })
}

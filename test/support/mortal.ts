// Owns the end of a test file whose runner was killed: it ends too, and what it started dies with it.
const runner = process.ppid

// Loaded into the runner as well, which may outlive whoever started it.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  setInterval(() => {
    if (process.ppid !== runner) process.exit(1)
  }, 500).unref()
}

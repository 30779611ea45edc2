// Owns the proof that the first signal asks and the second does not wait.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { listenForShutdown, type SignalSource } from '#adapters/runtime/shutdown.ts'

class FakeProcess extends EventEmitter implements SignalSource {
  readonly exits: number[] = []
  exit(code: number): void {
    this.exits.push(code)
  }
}

test('the first signal aborts with its name, the second one ends the process', () => {
  const source = new FakeProcess()
  const { signal } = listenForShutdown(source)
  assert.equal(signal.aborted, false)
  source.emit('SIGTERM')
  assert.equal(signal.aborted, true)
  assert.equal(signal.reason.message, 'ended by SIGTERM')
  assert.deepEqual(source.exits, [])
  source.emit('SIGINT')
  assert.deepEqual(source.exits, [130])
})

test('once disposed, signals are no longer taken', () => {
  const source = new FakeProcess()
  {
    using _shutdown = listenForShutdown(source)
    assert.equal(source.listenerCount('SIGTERM'), 1)
  }
  assert.equal(source.listenerCount('SIGTERM'), 0)
  assert.equal(source.listenerCount('SIGINT'), 0)
})

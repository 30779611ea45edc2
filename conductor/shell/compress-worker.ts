// Owns the body of a thread that compresses: a frame's raw bytes in, the frame out.
import { parentPort } from 'node:worker_threads'
import { release, zstdFrame } from './zstd.ts'

parentPort?.on('message', (raw: Uint8Array) => {
  const packed = zstdFrame(raw)
  release(raw)
  parentPort?.postMessage(packed, [packed.buffer])
})

// Owns the body of a thread that compresses: raw bytes of frames in, the frames out.
import { parentPort } from 'node:worker_threads'
import { release, zstdFrame } from './zstd.ts'

parentPort?.on('message', (raws: readonly Uint8Array[]) => {
  const packed = raws.map((raw) => {
    const frame = zstdFrame(raw)
    release(raw)
    return frame
  })
  parentPort?.postMessage(
    packed,
    packed.map(({ buffer }) => buffer),
  )
})

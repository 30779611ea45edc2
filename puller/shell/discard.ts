// Owns giving the memory of a buffer back at once: buffers lie outside of the heap, and V8 lets tens of MiB of them wait in every thread.

/**
 * Frees a buffer that nobody uses any more. One that shares its memory with others (Node's pool of small ones) is left to the collector.
 * @param ownedBytes how long all of the memory behind it is, when that is more than what it shows
 */
export function discard(bytes: Uint8Array, ownedBytes: number = bytes.byteLength): void {
  const { buffer, byteOffset } = bytes
  if (byteOffset !== 0 || buffer.byteLength !== ownedBytes || !(buffer instanceof ArrayBuffer)) return
  // Moved into a buffer of no bytes: the only way in which the language lets go of memory.
  buffer.transfer(0)
}

// Owns cutting what is written to a store into parts: a request or a write for each small frame of an artifact would cost more than its bytes.

/** A stream in parts of exactly `partBytes`, the last one shorter. */
export async function* inParts(body: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body) {
    for (let at = 0; at < piece.byteLength; ) {
      const taken = piece.subarray(at, at + partBytes - bytes)
      held.push(taken)
      bytes += taken.byteLength
      at += taken.byteLength
      if (bytes < partBytes) continue
      yield Buffer.concat(held, bytes)
      held = []
      bytes = 0
    }
  }
  if (bytes > 0) yield Buffer.concat(held, bytes)
}

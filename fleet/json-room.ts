// Owns telling, before JSON is parsed, whether its values would fit into memory: three bytes of text can become fifty of objects.

/** What a text holds at most. */
export interface JsonRoom {
  /** Lists and objects. */
  readonly lists: number
  readonly texts: number
  /** Values of lists and objects, numbers among them. */
  readonly values: number
}

const OPEN = 1
const QUOTE = 2
const COMMA = 3
const KINDS = new Uint8Array(256)
KINDS[0x5b] = OPEN
KINDS[0x7b] = OPEN
KINDS[0x22] = QUOTE
KINDS[0x2c] = COMMA

/** Shorter texts become no more than a few hundred MiB, whatever is in them: they are not looked through. */
const EASY_BYTES = 8 * 1024 * 1024

/** Whether a text could hold more values than that. It may count what stands inside of texts: an honest text is far below. */
export function exceedsRoom(json: Uint8Array, room: JsonRoom, easyBytes = EASY_BYTES): boolean {
  if (json.byteLength <= easyBytes) return false
  const counts = [0, 0, 0, 0]
  for (let at = 0; at < json.byteLength; at += 1) {
    const kind = KINDS[json[at] ?? 0] ?? 0
    if (kind !== 0) counts[kind] = (counts[kind] ?? 0) + 1
  }
  const [, opens = 0, quotes = 0, commas = 0] = counts
  return opens > room.lists || quotes > 2 * room.texts || commas > room.values
}

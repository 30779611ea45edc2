// Owns how deep a JSON text is nested, told before it is parsed: what reads, compares or prints a value recursively ends on one that is too deep. Pure.

/** The most brackets that are open at once, those in strings left out. Of a text that is no JSON it means nothing. */
export function jsonLevels(text: string): number {
  let open = 0
  let most = 0
  let inString = false
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at]
    if (inString) {
      if (char === '\\') at += 1
      else if (char === '"') inString = false
    } else if (char === '"') inString = true
    else if (char === '[' || char === '{') most = Math.max(most, ++open)
    else if (char === ']' || char === '}') open -= 1
  }
  return most
}

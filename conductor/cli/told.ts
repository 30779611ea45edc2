// Owns what the history says of the verbs of operators, in sentences.

/** The sentence of an entry that a verb left, or null for any other. @param fact a fact of the entry in words */
export function verbSentence(event: string, fact: (name: string) => string): string | null {
  const why = fact('reason') === 'nothing' || fact('reason') === '' ? '' : `: ${fact('reason')}`
  const until = fact('expires') === 'nothing' ? '' : ` until ${fact('expires')}`
  switch (event) {
    case 'unheld':
      return `let ${fact('rollout')} go on`
    case 'retried':
      return `asked ${fact('nodes')} that failed ${fact('build')} once more (attempt ${fact('attempt')} of ${fact('rollout')})`
    case 'waived':
      return `waived ${fact('node')} in ${fact('rollout')}${why}`
    case 'unwaived':
      return `waits for ${fact('node')} in ${fact('rollout')} again${why}`
    case 'handed-over':
      return `handed ${fact('rollout')} over from ${fact('from')} to ${fact('to')}`
    case 'taken-over':
      return `took the lease from ${fact('from')} for ${fact('build')}${why}`
    case 'led': {
      const on = fact('rollout') === 'nothing' ? '' : `, and goes on with ${fact('rollout')} of ${fact('build')}`
      return `leads from here on (${fact('holder')})${on}`
    }
    case 'line-held':
      return `stopped the line for ${fact('rings')}${until}${why}`
    case 'line-released':
      return `lifted the hold of ${fact('of')} on ${fact('rings')}${why}`
    case 'pinned':
      return `pinned ${fact('node')} of ${fact('ring')}${until}${why}`
    case 'unpinned':
      return `lifted the pin of ${fact('of')} on ${fact('node')} of ${fact('ring')}${why}`
    case 'forgotten':
      return `forgot ${fact('node')} of ${fact('ring')}${why}`
    case 'quarantined':
      return `put ${fact('build')} under quarantine${why}`
    case 'cleared':
      return `lifted the quarantine of ${fact('build')} by ${fact('of')}${why}`
    default:
      return null
  }
}

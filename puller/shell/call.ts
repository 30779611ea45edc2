// Owns the puller's command line: its verbs, its options, and what it says to a call it does not understand.
import { parseArgs } from 'node:util'
import { describeError, ERRORS, FleetError, isFleetError } from '#fleet/errors.ts'

const VERBS = ['run', 'status', 'verify', 'rollback', 'check-config'] as const
export type Verb = (typeof VERBS)[number]

export const USAGE = `usage: puller <verb> [--config FILE] [--json]

  run            follows the order of its app and ring until it is told to end
  status         says where this node stands
  verify         compares both trees with their manifests; exit 1 when one differs
  rollback       swaps back to the build that ran before, without Consul, and parks the node
  check-config   reads the configuration and says what is wrong with it

The configuration is the file of --config, of HOTCOLD_CONFIG, ./hotcold.yaml or /etc/hotcold/puller.yaml.`

export interface Call {
  readonly verb: Verb
  /** Path of the config file. */
  readonly config: string
  readonly json: boolean
}

export interface CallWorld {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly exists: (path: string) => boolean
  /** The known word that a misspelt one is nearest to, or null. */
  readonly closest: (word: string, known: readonly string[]) => string | null
}

/** @throws FleetError `USAGE` · `CONFIG_MISSING` */
export function parseCall(argv: readonly string[], world: CallWorld): Call {
  const { values, positionals } = parsed(argv, world)
  const [word = '', ...rest] = positionals
  const verb = VERBS.find((known) => known === word)
  if (verb === undefined) {
    const guess = word === '' ? null : world.closest(word, VERBS)
    const what = word === '' ? 'no verb was given' : `unknown verb "${word}"`
    throw new FleetError(
      'USAGE',
      `${what}${guess === null ? '; puller --help lists them' : `, did you mean "${guess}"?`}`,
    )
  }
  if (rest.length > 0) throw new FleetError('USAGE', `${verb} takes no "${rest[0]}"`)
  return { verb, config: configFile(values.config, world), json: values.json }
}

function parsed(argv: readonly string[], world: CallWorld) {
  const options = { config: { type: 'string' }, json: { type: 'boolean', default: false } } as const
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (cause) {
    const flag = /'(--?[^' =]*)/.exec(describeError(cause))?.[1] ?? ''
    const guess = world.closest(flag, ['--config', '--json', '--help'])
    const advice = guess === null || guess === flag ? '' : `, did you mean ${guess}?`
    throw new FleetError('USAGE', `unknown or incomplete option ${flag}${advice}`)
  }
}

function configFile(named: string | undefined, world: CallWorld): string {
  const file = named ?? world.env.HOTCOLD_CONFIG
  if (file !== undefined) return file
  const found = ['hotcold.yaml', '/etc/hotcold/puller.yaml'].find((path) => world.exists(path))
  if (found !== undefined) return found
  throw new FleetError('CONFIG_MISSING', 'there is neither ./hotcold.yaml nor /etc/hotcold/puller.yaml')
}

/** An error as a person reads it: what failed, in which case, what to do. */
export function complaint(error: unknown): string {
  if (!isFleetError(error)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const { title, fix }: { readonly title: string; readonly fix?: string } = ERRORS[error.code]
  const advice = fix === undefined ? '' : `\nwhat to do: ${fix}`
  return `${title} (${error.code}): ${describeError(error)}${advice}`
}

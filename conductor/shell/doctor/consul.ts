// Owns gathering the facts of one Consul: when it does not answer, or has no leader, nothing more is asked of it.
import { access, constants, stat } from 'node:fs/promises'
import type { ConsulFacts, Need } from '#conductor/core/doctor-consul.ts'
import { type Looked, unseen } from '#conductor/core/finding.ts'
import { look } from './look.ts'
import type { ConsulQuestions, ConsulSettings, Doctoring } from './ports.ts'
import { tokenFileOf } from './units.ts'

/** A Consul, as one config names it, and what that config's program needs of it. */
export interface Subject {
  readonly about: string
  readonly file: string
  readonly settings: ConsulSettings
  readonly token: ConsulFacts['token']
  /** Null: nothing is known of app and rings. */
  readonly needs: readonly Need[] | null
  /** A key that is not there, where a scratch key may be; null: the program makes none. */
  readonly scratch: string | null
  /** A key to watch. */
  readonly watched: string | null
}

const REACH_MS = 3_000
const ASK_MS = 5_000

export async function consulFacts(
  { about, file, settings, token, needs, scratch, watched }: Subject,
  asked: Looked<ConsulQuestions>,
  { signal }: Doctoring,
): Promise<ConsulFacts> {
  const base = { about, file, url: settings.url, token, needs: needs ?? [] }
  if (asked.kind !== 'seen') return { ...base, leader: asked, ...nothing(unseen('Consul could not be asked')) }
  const questions = asked.value
  const leader = await look(REACH_MS, signal, (one) => questions.leader(one))
  if (leader.kind !== 'seen') {
    const leaderless = leader.kind === 'failed' && leader.code === 'CONSUL_NO_LEADER'
    return { ...base, leader, ...nothing(unseen(leaderless ? 'Consul has no leader' : 'Consul did not answer')) }
  }
  const agent = await look(ASK_MS, signal, (one) => questions.agent(one))
  if (leader.value.leader === '') return { ...base, leader, ...nothing(unseen('Consul has no leader')), agent }
  if (token.problem !== null) return { ...base, leader, ...nothing(unseen('The token cannot be read')), agent }
  const ask = <value>(key: string | null, work: (key: string, signal: AbortSignal) => Promise<value>) =>
    key === null ? unseen('No app is known') : look(ASK_MS, signal, (one) => work(key, one))
  const rights =
    needs === null ? unseen('No app is known') : await ask(watched, (key, one) => questions.refused(needs, key, one))
  const denied = rights.kind !== 'seen' || rights.value.length > 0
  return {
    ...base,
    leader,
    agent,
    rights,
    session: await look(ASK_MS, signal, (one) => questions.session(one)),
    transaction:
      needs === null
        ? unseen('No app is known')
        : scratch === null
          ? unseen('A puller needs none')
          : denied
            ? unseen('A right is missing')
            : await ask(scratch, (key, one) => questions.transaction(key, one)),
    watch: await ask(watched, (key, one) => questions.watch(key, one)),
  }
}

function nothing(why: ReturnType<typeof unseen>) {
  return { agent: why, rights: why, session: why, transaction: why, watch: why }
}

/** What is to be said of the token before anybody is asked, and the settings to ask with: without a file that cannot be read. */
export async function withToken(
  given: ConsulSettings,
  prefix: string,
): Promise<{ readonly settings: ConsulSettings; readonly token: ConsulFacts['token'] }> {
  const { tokenFile, ...rest } = given
  const file = (await tokenFileOf(tokenFile, prefix)) ?? null
  if (file === null) return { settings: rest, token: { file, given: rest.token !== undefined, problem: null } }
  const why = await unreadable(file)
  const problem = why === null ? null : `The token file ${file} cannot be read (${why})`
  const settings = problem === null ? { ...rest, tokenFile: file } : rest
  return { settings, token: { file, given: true, problem } }
}

async function unreadable(file: string): Promise<string | null> {
  try {
    await access(file, constants.R_OK)
    const facts = await stat(file)
    // Reading anything else might never end.
    if (!facts.isFile()) return 'it is no file'
    return facts.size === 0 ? 'it is empty' : null
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  }
}

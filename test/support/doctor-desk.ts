// Owns calling `conduct doctor` in a folder with configs, and what tests ask of its findings.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import type { Finding } from '#conductor/core/finding.ts'
import { run, type Said } from './conducting.ts'
import type { ConsulServer } from './consul.ts'
import { tmp } from './tmp.ts'

export interface Examined extends Said {
  readonly findings: readonly Finding[]
  /** `outcome` of a code; of `about` where it is told. */
  outcome(code: string, about?: string): string | undefined
  one(code: string, about?: string): Finding
}

/** A folder with configs, and `conduct doctor --json` in it. */
export async function desk(t: TestContext, config: object | string) {
  const dir = await tmp(t, 'doctor')
  const file = join(dir, 'hotcold.yaml')
  const write = (value: object | string) => writeFile(file, typeof value === 'string' ? value : stringify(value))
  await write(config)
  const PATH = process.env.PATH ?? ''
  const conduct = (...argv: readonly string[]) => run(argv, { PATH, HOME: dir }, dir).end
  const doctor = async (...argv: readonly string[]): Promise<Examined> => {
    const said = await conduct('doctor', '--json', ...argv)
    const { findings } = JSON.parse(said.stdout) as { findings: Finding[] }
    const found = (code: string, about?: string) =>
      findings.find((one) => one.code === code && (about === undefined || one.about === about))
    return {
      ...said,
      findings,
      outcome: (code, about) => found(code, about)?.outcome,
      one: (code, about) => found(code, about) ?? assert.fail(`there is no ${code} in ${said.stdout}`),
    }
  }
  return { dir, file, write, conduct, doctor }
}

export const wrongs = ({ findings }: Examined) =>
  findings.filter(({ outcome }) => outcome === 'wrong').map(({ code, about }) => `${code} of ${about}`)

/** All keys with their values and indices, and all sessions of a Consul. */
export async function held({ url, token }: ConsulServer) {
  const headers: Record<string, string> = token === null ? {} : { 'X-Consul-Token': token }
  const [keys, sessions] = await Promise.all(
    ['kv/?recurse', 'session/list'].map(async (path) => (await fetch(`${url}/v1/${path}`, { headers })).text()),
  )
  return { keys, sessions }
}

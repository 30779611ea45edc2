// Owns the order of an examination: what is looked at beside what, on one machine.
import { dirname, join } from 'node:path'
import type { ConductKept } from '#conductor/config-doctor.ts'
import type { Facts, MachineFacts } from '#conductor/core/doctor.ts'
import type { ConfigFacts } from '#conductor/core/doctor-config.ts'
import { unseen } from '#conductor/core/finding.ts'
import { conductPrograms, gateFacts, problemOf, pullerFiles, scheduleFacts } from './config.ts'
import { look } from './look.ts'
import type { Doctoring } from './ports.ts'
import { UNIT_PATH, whoIs } from './programs.ts'
import { type Asked, conductSide, pullerSide } from './sides.ts'
import { ask, credentialsOf, synchronised, unitOf } from './units.ts'

const ASK_MS = 5_000

/** Everything that can be found out; never throws but the signal's reason. */
export async function gather(asked: Asked, doctoring: Doctoring): Promise<Facts> {
  const files = await pullerFiles(asked.pullers, doctoring)
  const { file, looked } = asked
  const problem = file === null ? null : problemOf(() => doctoring.checkConfig(file))
  const kept = keptOf(file, doctoring)
  const dir = file === null ? doctoring.cwd : dirname(file)
  const app = asked.app ?? kept.app ?? null
  const unit = await unitOf('hotcold-conductor', 'hotcold-conductor.service', doctoring)
  const installed = unit.kind === 'seen' && unit.value.facts.load === 'loaded'
  const who = await whoIs(installed ? (unit.value.user ?? 'root') : null)
  const path = installed ? UNIT_PATH : (doctoring.env.PATH ?? UNIT_PATH)
  // On a machine that has pullers alone nothing is conducted.
  const conducts = file !== null || app !== null || files.length === 0
  const [conduct, pullers, machine, gates, programs] = await Promise.all([
    conducts ? conductSide(asked, kept, app, doctoring) : null,
    Promise.all(files.map((one) => pullerSide(one, doctoring))),
    machineFacts(doctoring),
    gateFacts(kept, doctoring),
    conductPrograms(kept, { who, path, cwd: dir }, doctoring),
  ])
  const config: ConfigFacts = {
    ...{ file, looked, problem, app, gates, programs, pullers: files.length },
    rings: conduct?.rings ?? unseen('This machine has pullers alone'),
    schedule: scheduleFacts(kept, dir, doctoring),
  }
  const sides = [...(conduct === null ? [] : [conduct]), ...pullers]
  return {
    config,
    consuls: sides.flatMap(({ consul }) => consul ?? []),
    stores: sides.flatMap(({ store }) => store ?? []),
    pullers: pullers.map(({ facts }) => facts),
    machine: {
      ...machine,
      conductor: installed ? { kind: 'seen', value: unit.value.facts } : null,
      credentials: installed ? await credentialsOf(kept.consul.tokenFile, 'hotcold-conductor', doctoring) : [],
    },
  }
}

function keptOf(file: string | null, { keepConfig }: Doctoring): ConductKept {
  let kept: ConductKept = { consul: {}, gates: [] }
  if (file === null) return kept
  // What it says is told elsewhere: here it is only that nothing of it can be kept.
  problemOf(() => {
    kept = keepConfig(file)
  })
  return kept
}

async function machineFacts(doctoring: Doctoring): Promise<Omit<MachineFacts, 'conductor' | 'credentials'>> {
  const { clock, home, signal } = doctoring
  const node = await look(ASK_MS, signal, async () =>
    (await ask([join(home, 'node_modules/.bin/node'), '--version'], doctoring)).trim(),
  )
  const year = new Date(clock.now()).getUTCFullYear()
  return { synchronised: await synchronised(doctoring), zones: process.versions.tz ?? '', year, node }
}

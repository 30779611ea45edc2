// Owns the composition of `conduct doctor`: every config read leniently beside the strict reading, and doors that are tried one by one.
import { dirname } from 'node:path'
import { catalog } from '#adapters/consul/catalog.ts'
import { connectConsul } from '#adapters/consul/client.ts'
import { consulProbe } from '#adapters/consul/probe.ts'
import { readConfigFile } from '#adapters/runtime/config-file.ts'
import { openStore } from '#adapters/store.ts'
import { doctor } from '#conductor/cli/doctor.ts'
import type { Reporter } from '#conductor/cli/reporter.ts'
import type { World } from '#conductor/cli/world.ts'
import type { Name } from '#fleet/build.ts'
import type { Logger } from '#fleet/ports.ts'
import { scheduleOf, scheduleSchema } from '#schedule/load.ts'
import { configAt, given } from './bench.ts'
import type { DoctorCommand } from './cli/program.ts'
import { readSettings } from './cli/settings.ts'
import { conductKept, pullerKept } from './config-doctor.ts'

/** Reads every config leniently beside the strict reading, and never stops at what it finds. */
export async function examination(command: DoctorCommand, report: Reporter, world: World): Promise<number> {
  const log: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const { clock, env, cwd, hostname, user, signal } = world
  // As the puller has it.
  const node = { hostname: hostname.toLowerCase(), env }
  return doctor(command, report, {
    ...{ clock, env, cwd, hostname, user, signal, home: dirname(import.meta.dirname) },
    checkConfig: (path) => void readSettings({ ...command, config: path }, world, (one) => configAt(one, world)),
    checkSchedule: (path) => void scheduleOf(readConfigFile(path, scheduleSchema, world), path),
    keepConfig: (path) => readConfigFile(path, conductKept, world),
    keepPuller: (path) => readConfigFile(path, pullerKept, node),
    consul: ({ url, ...rest }) => {
      const client = connectConsul({ url, ...given(rest), waitMs: DOCTOR_WAIT_MS }, { clock, log })
      const builds = (app: Name, until: AbortSignal) => catalog(client, { app }).list(until)
      return { ...consulProbe(client), builds }
    },
    store: ({ url, ...rest }) =>
      openStore({ url, ...given(rest), mustExist: true, patience: { answerMs: 8_000 } }, { clock, log }),
  })
}

/** How long the blocking query of an examination waits. */
const DOCTOR_WAIT_MS = 400

// Owns the body of a worker thread: one synchronous operation per message, its answer or its error sent back.
import { parentPort } from 'node:worker_threads'
import { diffOfColumns, findContents } from '#fleet/column-diff.ts'
import { FleetError } from '#fleet/errors.ts'
import type { Columns } from '#fleet/manifest-columns.ts'
import { readManifest } from '#fleet/manifest-table.ts'
import { whoUses } from './in-use.ts'
import { look, recordRows } from './look.ts'
import { type RowOptions, RowWriter } from './row-writer.ts'
import { countNames, namesOf, strangerIn } from './strangers.ts'
import { finish, prepare } from './tree-shape.ts'
import { TreeWriter, type WriterOptions } from './tree-writer.ts'
import { factsOf, hashFiles, walk } from './walk.ts'

let writer: TreeWriter | null = null
let rows: RowWriter | null = null

/** Reads a manifest into columns; null when it must be parsed as JSON, to be read or refused with a reason. */
function readColumns(bytes: Uint8Array, expected: { readonly app: string; readonly build: string }): Columns | null {
  const read = readManifest(bytes)
  return read !== null && read.head.app === expected.app && read.head.build === expected.build ? read.columns : null
}

function openWriter(options: WriterOptions): void {
  writer?.close()
  writer = new TreeWriter(options)
}

function openRows(options: RowOptions): void {
  rows?.close()
  rows = new RowWriter(options)
}

function closeWriter(): void {
  writer?.close()
  rows?.close()
  writer = null
  rows = null
}

function withWriter<args extends unknown[], result>(
  method: (writer: TreeWriter, ...args: args) => result,
): (...args: args) => result {
  return (...args) => {
    if (writer === null) throw new TypeError('the writer is not open')
    return method(writer, ...args)
  }
}

function withRows<args extends unknown[], result>(
  method: (rows: RowWriter, ...args: args) => result,
): (...args: args) => result {
  return (...args) => {
    if (rows === null) throw new TypeError('the rows are not open')
    return method(rows, ...args)
  }
}

/** What a worker can do. */
export const operations = {
  readColumns,
  diffOfColumns,
  findContents,
  look,
  recordRows,
  walk,
  factsOf,
  hashFiles,
  countNames,
  namesOf,
  strangerIn,
  whoUses,
  prepare,
  finish,
  openWriter,
  closeWriter,
  forget: withWriter((it) => it.forget()),
  giveUp: withWriter((it, ...args: Parameters<TreeWriter['giveUp']>) => it.giveUp(...args)),
  writeFrame: withWriter((it, ...args: Parameters<TreeWriter['writeFrame']>) => it.writeFrame(...args)),
  writeWhole: withWriter((it, ...args: Parameters<TreeWriter['writeWhole']>) => it.writeWhole(...args)),
  assemble: withWriter((it, ...args: Parameters<TreeWriter['assemble']>) => it.assemble(...args)),
  copy: withWriter((it, ...args: Parameters<TreeWriter['copy']>) => it.copy(...args)),
  openRows,
  shapeRows: withRows((it) => it.shape()),
  finishRows: withRows((it) => it.finish()),
  writeEmpty: withRows((it, ...args: Parameters<RowWriter['writeEmpty']>) => it.writeEmpty(...args)),
  writeRows: withRows((it, ...args: Parameters<RowWriter['writeFrames']>) => it.writeFrames(...args)),
  copyRows: withRows((it, ...args: Parameters<RowWriter['copy']>) => it.copy(...args)),
  place: withWriter((it, ...args: Parameters<TreeWriter['place']>) => it.place(...args)),
} as const

export type Operations = typeof operations

/** A request to a worker. */
export interface WorkerCall {
  readonly id: number
  readonly operation: keyof Operations
  readonly args: readonly unknown[]
}

/** Its answer. Errors lose their class on the way between threads: what matters of them is carried by name. */
export type WorkerAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: CarriedError }

export interface CarriedError {
  readonly fleetCode: string | null
  readonly message: string
  readonly code: string | undefined
  readonly errno: number | undefined
  readonly stack: string | undefined
}

function answer(call: WorkerCall): void {
  try {
    const operation = operations[call.operation] as (...args: readonly unknown[]) => unknown
    parentPort?.postMessage({ id: call.id, value: operation(...call.args) } satisfies WorkerAnswer)
  } catch (error) {
    parentPort?.postMessage({ id: call.id, error: carry(error) } satisfies WorkerAnswer)
  }
}

parentPort?.on('message', answer)

function carry(error: unknown): CarriedError {
  if (!(error instanceof Error)) {
    return { fleetCode: null, message: String(error), code: undefined, errno: undefined, stack: undefined }
  }
  const { code, errno } = error as NodeJS.ErrnoException
  return {
    fleetCode: error instanceof FleetError ? error.code : null,
    message: error.message,
    code,
    errno,
    stack: error.stack,
  }
}

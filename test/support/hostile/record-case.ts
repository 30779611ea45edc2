// Owns one hostile record of any origin: from Consul, from a lying server before it, or from a config file.
import type { TestContext } from 'node:test'
import * as fc from 'fast-check'
import { tmp } from '#test/support/tmp.ts'
import { type ConfigCase, checkConfig, configCaseArb } from './config-lies.ts'
import { openAnswers } from './consul-answers.ts'
import { type AnswerCase, answerCaseArb } from './consul-lies.ts'
import { checkOrders, type OrderCase, orderCaseArb } from './order-lies.ts'
import { checkRecord, type RecordCase, recordCaseArb } from './record-lies.ts'

export type HostileRecord =
  | { readonly of: 'record'; readonly it: RecordCase }
  | { readonly of: 'orders'; readonly it: OrderCase }
  | { readonly of: 'answer'; readonly it: AnswerCase }
  | { readonly of: 'config'; readonly it: ConfigCase }

const of = <const name extends string, value>(name: name, it: fc.Arbitrary<value>) =>
  fc.record({ of: fc.constant(name), it })

export const hostileRecordArb: fc.Arbitrary<HostileRecord> = fc.oneof(
  { weight: 4, arbitrary: of('record', recordCaseArb) },
  { weight: 2, arbitrary: of('orders', orderCaseArb) },
  { weight: 3, arbitrary: of('answer', answerCaseArb) },
  { weight: 3, arbitrary: of('config', configCaseArb) },
)

/** @returns a check that tells what became of a case, its origin first */
export async function openRecords(t: TestContext): Promise<(hostile: HostileRecord) => Promise<readonly string[]>> {
  const answers = await openAnswers(t)
  const directory = await tmp(t, 'config')
  const verdicts = async (hostile: HostileRecord): Promise<readonly string[]> => {
    switch (hostile.of) {
      case 'record':
        return [checkRecord(hostile.it)]
      case 'orders':
        return await checkOrders(hostile.it)
      case 'answer':
        return [await answers.check(hostile.it)]
      case 'config':
        return [checkConfig(hostile.it, directory)]
    }
  }
  return async (hostile) => (await verdicts(hostile)).map((verdict) => `${hostile.of}: ${verdict}`)
}

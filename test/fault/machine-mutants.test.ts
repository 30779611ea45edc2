// Owns the proof that the walk of the node's machine would notice: every row removed, every edge misdirected, every effect dropped.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { PHASES } from '#fleet/node-status.ts'
import { machineOf, step } from '#puller/core/machine.ts'
import type { Effect } from '#puller/core/state.ts'
import { type Row, TABLE, type Table } from '#puller/core/table.ts'
import { type StepFunction, type Universe, walk, without } from '#test/support/walk.ts'
import { UNIVERSES } from '#test/support/walk-worlds.ts'

const table: Table = TABLE
const worlds = Object.values(UNIVERSES)
/** Per world, after how many steps each row is first followed: a broken row is looked for where it shows soonest. */
const reached = worlds.map((world) => walk(step, TABLE, world).rows)

interface Mutant {
  readonly name: string
  readonly row: string
  readonly table: Table
}

function mutants(): readonly Mutant[] {
  return PHASES.flatMap((phase) =>
    Object.entries(table[phase]).flatMap(([edge, [to, begin]]) => {
      const row = `${phase}.${edge}`
      const mutant = (name: string, cell: Row[keyof Row]): Mutant => ({
        name: `${row} ${name}`,
        row,
        table: { ...table, [phase]: { ...table[phase], [edge]: cell } },
      })
      return [
        mutant('removed', undefined),
        ...PHASES.filter((other) => other !== to).map((other) => mutant(`leads to ${other}`, [other, begin])),
        ...(begin === 'nothing' ? [] : [mutant(`begins nothing instead of ${begin}`, [to, 'nothing'])]),
      ]
    }),
  )
}

function notices(stepOf: StepFunction, broken: Table, row: string): boolean {
  const soonest = (world: Universe): number => reached[worlds.indexOf(world)]?.get(row) ?? Number.POSITIVE_INFINITY
  const order = worlds.toSorted((one, other) => soonest(one) - soonest(other))
  return order.some((world) => walk(stepOf, broken, world, 1).violations.length > 0)
}

test('every row of the table is followed in some walk: none is dead', () => {
  const rows = PHASES.flatMap((phase) => Object.keys(table[phase]).map((edge) => `${phase}.${edge}`))
  const dead = rows.filter((row) => !reached.some((world) => world.has(row)))
  assert.deepEqual(dead, [])
})

test('removing any row, misdirecting any edge or dropping its job is noticed by the walk', (t: TestContext) => {
  const all = mutants()
  assert.ok(all.length > 450, `${all.length} mutants`)
  const began = performance.now()
  const survivors = all.filter((mutant) => !notices(machineOf(mutant.table), mutant.table, mutant.row))
  t.diagnostic(`${all.length} mutants in ${Math.round(performance.now() - began)} ms`)
  assert.deepEqual(
    survivors.map(({ name }) => name),
    [],
  )
})

test('dropping any kind of effect is noticed by the walk', () => {
  const kinds: readonly Effect['type'][] = ['start', 'cancel', 'exit']
  const unnoticed = kinds.filter((kind) => !notices(without(step, kind), TABLE, 'draining.unwanted'))
  assert.deepEqual(unnoticed, [])
})

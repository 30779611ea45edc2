// Owns the proof of the keys of gates: the samples are valid as they are, and each mistake is named with its line.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '#adapters/runtime/config-file.ts'
import { conductSchema } from '#conductor/config.ts'
import { isFleetError } from '#fleet/errors.ts'
import { readText } from '#test/support/source.ts'

const world = { hostname: 'desk', env: {} }
const gatesOf = (text: string) => parseConfig(text, 'hotcold.yaml', conductSchema, world).gates

function complaint(gate: string): string {
  try {
    gatesOf(`gates:\n  - ${gate}\n`)
  } catch (error) {
    if (isFleetError(error, 'CONFIG_INVALID')) return error.message
    throw error
  }
  return 'valid'
}

test('the sample of the design is valid as it is, and its defaults are those of the documents', () => {
  const [gate, ...others] = gatesOf(
    'gates: [ { name: errors, prometheus: http://…, query: "…{{build}}…", max: 0.01 } ]\n',
  )
  assert.deepEqual(others, [])
  assert.deepEqual(gate, {
    kind: 'prometheus',
    name: 'errors',
    rings: null,
    url: 'http://…',
    headers: {},
    query: '…{{build}}…',
    limit: { type: 'max', max: 0.01 },
    samples: 1,
    onNoData: 'hold',
    forMs: 0,
    intervalMs: 10_000,
    timeoutMs: 5_000,
  })
})

test('the gates of the sample file are valid once they are no comment', () => {
  const lines = readText('docs/samples/hotcold.yaml').split('\n')
  const from = lines.findIndex((line) => line.startsWith('# gates:'))
  const to = lines.findIndex((line) => line.startsWith('# schedule:'))
  const text = lines
    .slice(from, to)
    .map((line) => line.replace(/^# /, ''))
    .join('\n')
  const gates = gatesOf(text)
  assert.deepEqual(
    gates.map(({ name, kind, timeoutMs }) => [name, kind, timeoutMs]),
    [
      ['errors', 'prometheus', 5_000],
      ['page', 'http', 5_000],
      ['smoke', 'command', 60_000],
    ],
  )
  for (const limit of ['ratio', 'zscore']) {
    const other = text.replace(/^ +max: .*$/m, '').replace(`# ${limit}:`, `${limit}:`)
    const [gate] = gatesOf(other)
    assert.equal(gate?.kind === 'prometheus' && gate.limit.type, limit)
  }
})

const PROMETHEUS = 'prometheus: "http://p", query: x'

for (const [gate, said] of [
  ['{ name: Errors!, command: [x] }', /hotcold\.yaml:2: "gates\.0\.name": must be a name/],
  ['{ command: [x] }', /key "gates\.0\.name" is missing/],
  ['{ name: errors }', /"gates\.0": errors must have one of prometheus, http, command/],
  [`{ name: errors, ${PROMETHEUS}, command: [x] }`, /errors must have one of prometheus, http, command/],
  ['{ name: errors, prometheus: "http://p", max: 1 }', /errors needs a query/],
  [`{ name: errors, ${PROMETHEUS} }`, /errors must have one of max, min, ratio, zscore/],
  [`{ name: errors, ${PROMETHEUS}, max: 1, min: 0 }`, /errors must have one of max, min, ratio, zscore/],
  [`{ name: errors, ${PROMETHEUS}, max: .nan }`, /"gates\.0\.max": /],
  [`{ name: errors, ${PROMETHEUS}, max: .inf }`, /"gates\.0\.max": must be a number that ends/],
  [`{ name: errors, ${PROMETHEUS}, max: "1" }`, /"gates\.0\.max": must be a number/],
  ['{ name: errors, prometheus: "p:9090", query: x, max: 1 }', /"gates\.0\.prometheus": must be an address like/],
  [
    '{ name: errors, prometheus: "http://p", query: "{{host}}", max: 1 }',
    /\{\{host\}\} stands for nothing here: there are/,
  ],
  [`{ name: errors, ${PROMETHEUS}, ratio: { to: old, max: 2 } }`, /a ratio needs \{\{build\}\} or \{\{nodes\}\}/],
  ['{ name: errors, prometheus: "http://p", query: "{{build}}", ratio: { to: new, max: 2 } }', /must be old/],
  [`{ name: errors, ${PROMETHEUS}, zscore: { max: 3, over: 2 } }`, /"gates\.0\.zscore\.over": must be at least 3/],
  [`{ name: errors, ${PROMETHEUS}, zscore: { max: 3 } }`, /key "gates\.0\.zscore\.over" is missing/],
  [`{ name: errors, ${PROMETHEUS}, max: 1, onNoData: ignore }`, /"gates\.0\.onNoData": must be hold, fail or pass/],
  [`{ name: errors, ${PROMETHEUS}, max: 1, intervalSeconds: 0 }`, /intervalSeconds": must be at least 0\.1/],
  [`{ name: errors, ${PROMETHEUS}, max: 1, forSecond: 1 }`, /unknown key "forSecond", did you mean "forSeconds"\?/],
  ['{ name: page, http: "http://p", max: 1 }', /page: max belongs to a gate by prometheus, not by http/],
  ['{ name: page, http: "http://p", expect: { sttus: 200 } }', /unknown key "sttus", did you mean "status"\?/],
  ['{ name: page, http: "http://p/{{node}}" }', /\{\{node\}\} stands for nothing/],
  ['{ name: smoke, command: [] }', /"gates\.0\.command": must name a program/],
  ['{ name: smoke, command: [x], headers: {} }', /headers belongs to a gate by prometheus or http, not by command/],
  ['{ name: smoke, command: [x] }\n  - { name: smoke, command: [y] }', /"gates": must have names of their own/],
  [Array.from({ length: 13 }, (_, i) => `{ name: s${i}, command: [x] }`).join('\n  - '), /must be at most 12 gates/],
] as const) {
  test(`the config says what is wrong: ${String(said)}`, () => {
    assert.match(complaint(gate), said)
  })
}

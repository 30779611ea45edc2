// Owns the shape of metrics: names in base units, labels with few values, and no metric that nobody can look up.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UNBOUNDED, valuesOf } from '#test/support/metric-labels.ts'
import { registeredMetrics } from '#test/support/metrics-doc.ts'
import { production } from '#test/support/source.ts'

const UNITS = /_(seconds|bytes|ratio|info)$/
/** A count of something, a place in an order, or 1 while something is so. */
const NUMBERS =
  /_(nodes|generation|trouble|phase|open|held|waits|stage|stages|holds|entries|ready|leading|armed|refused|clients)$/

test('every metric is of its program and ends in its base unit or in what it counts; counters, and only they, end in _total', () => {
  const metrics = registeredMetrics()
  assert.ok(metrics.length > 50, 'metrics were found')
  for (const { name, type, help } of metrics) {
    assert.match(name, /^(puller|conductor)_[a-z]+(_[a-z]+)*$/)
    assert.equal(type === 'counter', name.endsWith('_total'), `${name}: counters, and only they, end in _total`)
    assert.doesNotMatch(name, /_(ms|millis\w*|minutes|hours|days|kb|mb|kib|mib|percent|count|sum|bucket)(_|$)/, name)
    if (type !== 'counter') assert.ok(UNITS.test(name) || NUMBERS.test(name), `${name} ends in a unit`)
    if (type === 'histogram') assert.match(name, /_seconds$/)
    assert.match(help, /^(\d|[A-Z])[^\n]*[^.\n]$/, `${name}: ${help}`)
  }
  assert.equal(new Set(metrics.map(({ name }) => name)).size, metrics.length, 'no name twice')
})

test('every label has few values that are known: only _info names builds and rollouts, and nothing names a node', () => {
  for (const { name, labels } of registeredMetrics()) {
    for (const label of labels) {
      assert.notEqual(label, 'node', `${name}: a node is a label of the scrape`)
      assert.notEqual(valuesOf(name, label), undefined, `${name}{${label}}: nobody says what it may be`)
      if (UNBOUNDED.includes(label)) assert.match(name, /_info$/, `${name}{${label}}`)
    }
  }
})

test('buckets of a histogram rise, and reach from what is quick to what is a fault', () => {
  for (const { name, type, buckets } of registeredMetrics()) {
    if (type !== 'histogram') continue
    assert.ok(buckets.length >= 5, `${name} has buckets of its own`)
    assert.deepEqual(
      [...buckets],
      buckets.toSorted((a, b) => a - b),
      name,
    )
  }
})

test('metrics are made in the two files that own them', () => {
  const makers = production().filter(({ imports, text }) => {
    return imports.some(({ from, typeOnly }) => from === 'prom-client' && !typeOnly) || text.includes("'prom-client/")
  })
  assert.deepEqual(
    makers.map(({ path }) => path),
    ['conductor/metrics.ts', 'puller/metrics.ts'],
  )
})

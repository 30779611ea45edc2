// Owns the proof that an answer counts for exactly the build it names.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { BuildId } from '#fleet/build.ts'
import type { Answer } from '#puller/shell/ask.ts'
import { answeringBuild, type Identity } from '#puller/shell/identity.ts'

function answer(body: string, headers: Answer['headers'] = {}): Answer {
  return { status: 200, headers, body }
}

function judge(identity: Identity, build: string, given: Answer): string {
  const verdict = answeringBuild(identity, given, build as BuildId)
  return verdict.matches ? 'matches' : verdict.instead
}

test('F21: a header must be the build id, whole', (_t: TestContext) => {
  const identity: Identity = { header: 'X-Hotcold-Build' }
  assert.equal(judge(identity, 'b1', answer('', { 'x-hotcold-build': 'b1' })), 'matches')
  assert.equal(judge(identity, 'b1', answer('', { 'x-hotcold-build': 'b12' })), 'was answered by build b12')
  assert.equal(judge(identity, 'b1', answer('', { 'x-hotcold-build': '' })), 'gave no header X-Hotcold-Build')
  assert.equal(judge(identity, 'b1', answer('')), 'gave no header X-Hotcold-Build')
})

test('F21: two builds in one header are not the one', (_t: TestContext) => {
  const identity: Identity = { header: 'x-hotcold-build' }
  assert.equal(judge(identity, 'b1', answer('', { 'x-hotcold-build': ['b1', 'b0'] })), 'was answered by build b1, b0')
})

test('F21: a JSON field may lie inside others, and only a field of the answer itself counts', (_t: TestContext) => {
  assert.equal(judge({ json: 'build' }, 'b1', answer('{"build":"b1"}')), 'matches')
  assert.equal(judge({ json: 'app.build' }, 'b1', answer('{"app":{"build":"b1"}}')), 'matches')
  assert.equal(judge({ json: 'build' }, '42', answer('{"build":42}')), 'matches')
  assert.equal(judge({ json: 'build' }, 'b1', answer('{"build":"b0"}')), 'was answered by build b0')
  for (const body of ['', 'b1', 'null', '[]', '{"build":null}', '{"build":{"id":"b1"}}', '<html>']) {
    assert.equal(judge({ json: 'build' }, 'b1', answer(body)), 'gave no JSON field build', body)
  }
  assert.equal(judge({ json: 'constructor.name' }, 'Object', answer('{}')), 'gave no JSON field constructor.name')
})

test('F21: in a text the id counts as a whole word, so no build passes for one whose id it begins', (_t: TestContext) => {
  const body: Identity = { body: true }
  for (const text of ['1.2', ' 1.2\n', 'build 1.2 is fine', 'runs 1.2.', 'id="1.2"', 'b:1.2,ok']) {
    assert.equal(judge(body, '1.2', answer(text)), 'matches', text)
  }
  for (const text of ['1.2.3', '11.2', '1.2-rc', '1x2', 'v1.2', '0-1.2', '']) {
    assert.notEqual(judge(body, '1.2', answer(text)), 'matches', text)
  }
  assert.equal(judge(body, '1.2', answer('1.2.3')), 'was answered by build 1.2.3')
  assert.equal(judge(body, '1.2', answer('all is well')), 'gave no build id')
})

test('F21: what another build calls itself cannot spoil a log or a terminal', (_t: TestContext) => {
  const evil = answer(JSON.stringify({ build: `\u001b[2J\u202e${'x'.repeat(500)}` }))
  const said = judge({ json: 'build' }, 'b1', evil)
  assert.match(said, /^was answered by build \?\[2J\?x+$/)
  assert.ok(said.length < 200)
})

test('the check can be switched off', (_t: TestContext) => {
  assert.equal(judge('off', 'b1', answer('anything')), 'matches')
})

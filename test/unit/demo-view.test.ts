// Owns the proof that the demo's table and live lines say what was measured, and that only a terminal is drawn on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Findings } from '#conductor/demo/score.ts'
import { screenOn } from '#conductor/demo/screen.ts'
import type { LoadReport, NodeLoad } from '#conductor/demo/traffic.ts'
import { answersLine, finalTable, liveLines, shortBuild } from '#conductor/demo/view.ts'

const load = (build: string, open = 1): NodeLoad => ({
  sent: 1_001,
  served: 1_000,
  failed: 0,
  mixed: 0,
  open,
  longestMs: 2_500,
  build,
  why: { failed: [], mixed: [] },
})
const report: LoadReport = {
  nodes: { a: load('x-1'), b: load('x-2', 40) },
  sightings: [],
  over: false,
}

test('the table shows bytes against the build, and times from the write of the key to the first and last answer', () => {
  const findings: Findings = {
    totals: {
      sent: 2_000,
      served: 2_000,
      failed: 0,
      mixed: 0,
      longestMs: 2_500,
      leastPerSecond: 59.94,
      why: { failed: [], mixed: [] },
    },
    acts: [
      { title: 'release of build 2', build: 'x-2', writtenAtMs: 1_000, fetchedBytes: 2_048, artifactBytes: 102_400 },
      { title: 'rollback to build 1', build: 'x-1', writtenAtMs: 9_000, fetchedBytes: 0, artifactBytes: 102_400 },
    ],
    reverted: ['a'],
    rollback: { fetchedBytes: 0, keyBuild: 'x-1', previous: 'x-1' },
    surprises: [],
  }
  const seen = [
    { node: 'a', build: 'x-2', atMs: 1_500 },
    { node: 'b', build: 'x-2', atMs: 3_000 },
    { node: 'a', build: 'x-1', atMs: 9_250 },
  ]
  const text = finalTable(findings, ['a', 'b'], seen).join('\n')
  assert.match(text, /release of build 2 +2\.0 KiB +100\.0 KiB +1\.0 % +500 ms +2\.0 s/)
  // Node b never answered with build 1: there is no time to the last node.
  assert.match(text, /rollback to build 1 +0 B +100\.0 KiB +0 % +250 ms +–/)
  assert.match(text, /requests served +2,000\nrequests failed +0\nanswers mixing two builds +0/)
})

test('live lines show what each node answers with and which requests wait', () => {
  const lines = liveLines(
    [
      { name: 'a', phase: 'idle' },
      { name: 'b', phase: 'swapping' },
    ],
    report,
    60,
  )
  assert.match(lines[2] ?? '', /^a +idle +build 1$/)
  assert.match(lines[3] ?? '', /^b +swapping +build 2 +40 requests on hold$/)
  assert.equal(lines.at(-1), '2,000 requests served, 0 failed, 0 mixed two builds')
  assert.equal(answersLine(report), 'build 1 on 1, build 2 on 1; 2,000 requests served, 0 failed, 0 mixed two builds')
  assert.equal(shortBuild('other'), 'other')
})

test('a terminal is drawn on again and again, a file gets sentences alone', () => {
  const written = (isTTY: boolean): string => {
    let text = ''
    const screen = screenOn({ isTTY, columns: 80, write: (more) => (text += more) })
    screen.draw(['one', 'two'])
    screen.say('sentence')
    screen.draw(['three'])
    screen.clear()
    return text
  }
  assert.equal(written(false), 'sentence\n')
  const [up2, up1] = ['\x1b[2A\x1b[J', '\x1b[1A\x1b[J']
  assert.equal(written(true), `one\ntwo\n${up2}sentence\none\ntwo\n${up2}three\n${up1}`)
})

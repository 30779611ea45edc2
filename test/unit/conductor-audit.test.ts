// Owns the proof of what an audit notices in a chain, and of what a history says when it is asked.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { type Anchor, auditLink, endAudit, type Link, UNAUDITED } from '#conductor/core/audit.ts'
import { inForceAt, selectEntries } from '#conductor/core/chronicle.ts'
import { orphansIn, untold } from '#conductor/core/orphan.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import { keysOf } from '#fleet/keys.ts'
import type { HistoryEntry } from '#fleet/ports.ts'
import { orderDigest } from '#fleet/target.ts'
import { readHistoryEntry, readRollout, writeHistoryEntry, writeRollout, writeTarget } from '#fleet/wire.ts'
import { rolloutOf } from '#test/support/ports.ts'
import { fc } from '#test/support/properties.ts'
import { A, APP, B, RING, settledOn } from '#test/support/rollout-sim.ts'

const sha = (raw: Uint8Array) => createHash('sha256').update(raw).digest('hex')

/** A chain of `count` entries as the ledger writes them. */
function chainOf(count: number): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  for (let seq = 1; seq <= count; seq += 1) {
    const before = chain.at(-1)
    const prev = before === undefined ? '' : sha(before)
    chain.push(writeHistoryEntry({ seq, prev, at: '2026-11-22T16:04:30Z', by: 'ana', event: 'e', facts: { n: seq } }))
  }
  return chain
}

function audited(chain: readonly (Uint8Array | null)[], anchor: Anchor | null = null) {
  const links = chain.flatMap((raw, i): readonly Link[] => {
    if (raw === null) return []
    const name = String(i + 1).padStart(12, '0')
    let entry: Link['entry'] = null
    try {
      entry = readHistoryEntry(raw)
    } catch {
      // Unreadable, as the caller wants it.
    }
    return [{ name, seq: keysOf('', 'web').seqOf(name), digest: sha(raw), entry }]
  })
  return endAudit(
    links.reduce((audit, link) => auditLink(audit, link, anchor), UNAUDITED),
    anchor,
  )
}

test('a chain as it was written has no difference; a flipped byte or a missing entry anywhere before its end is named by its number', () => {
  const length = fc.integer({ min: 2, max: 40 })
  fc.assert(
    fc.property(length, fc.nat(), fc.nat(), fc.boolean(), (count, where, at, cut) => {
      const chain = chainOf(count)
      assert.deepEqual(audited(chain).differences, [])
      const victim = where % (count - 1)
      const spoilt = chain.map((raw, i): Uint8Array | null => {
        if (i !== victim) return raw
        if (cut) return null
        const bytes = Uint8Array.from(raw)
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ 1
        return bytes
      })
      const { differences } = audited(spoilt)
      assert.ok(differences.some(({ seq }) => seq === victim + 1))
      // Where its word of the entry before it was flipped, that one no longer fits either.
      assert.ok(differences.every(({ seq }) => seq === victim + 1 || (!cut && seq === Math.max(1, victim))))
    }),
  )
})

test('with an entry noted down, a chain that was written anew from the start, or cut off behind it, is noticed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 30 }), fc.nat(), (count, where) => {
      const chain = chainOf(count)
      const at = where % count
      const anchor = { seq: at + 1, digest: sha(chain[at] ?? new Uint8Array()) }
      assert.deepEqual(audited(chain, anchor).differences, [])
      const anew = chain.map((raw) => readHistoryEntry(raw)).map((entry) => ({ ...entry, by: 'eve' }))
      let prev = ''
      const forged = anew.map((entry) => {
        const raw = writeHistoryEntry({ ...entry, prev })
        prev = sha(raw)
        return raw
      })
      assert.deepEqual(audited(forged).differences, [], 'by itself it is a chain like any other')
      assert.deepEqual(
        audited(forged, anchor).differences.map(({ seq, kind }) => [seq, kind]),
        [[anchor.seq, 'not-the-anchor']],
      )
      assert.deepEqual(
        audited(chain.slice(0, at), anchor).differences.map(({ seq, kind }) => [seq, kind]),
        [[anchor.seq, 'gap']],
      )
    }),
  )
})

const view = (raw: Uint8Array | null, index = 9) => ({ [RING]: { raw, index } })

test('an orphan is what was not written last: other bytes, a bare id, a deletion; what init wrote is none', () => {
  const written = writeTarget(settledOn(B, A, 57))
  const init = writeTarget({ ...settledOn(null, null, 0), by: 'init' })
  const rollout = rolloutOf({ generations: { [RING]: 57 }, orders: { [RING]: orderDigest(written) } })
  const found = (raw: Uint8Array | null, over = rollout as typeof rollout | null) =>
    orphansIn(view(raw), over, APP).length
  assert.equal(found(written), 0)
  assert.equal(found(writeTarget({ ...settledOn(B, A, 57), cutoff: 7 })), 1, 'the same generation, other bytes')
  assert.equal(found(Buffer.from(A)), 1)
  assert.equal(found(Buffer.from('{')), 1)
  assert.equal(found(null), 1)
  assert.equal(found(init), 0)
  assert.equal(found(init, null), 0)
  assert.equal(found(null, null), 0, 'nothing was ever there')
  assert.equal(found(written, null), 1)
  const old = rolloutOf({ generations: { [RING]: 57 } })
  assert.equal(found(written, old), 0, 'of an older version only the generation is known')
  assert.equal(found(writeTarget(settledOn(B, A, 58)), old), 1)
  const [orphan] = orphansIn(view(Buffer.from(`{"x":"${'y'.repeat(900)}"}`)), rollout, APP)
  assert.deepEqual([orphan?.value?.length, orphan?.bytes, orphan?.modifyIndex], [200, 908, 9])
})

const entry = (
  seq: number,
  event: string,
  facts: HistoryEntry['facts'],
  at = `2026-11-22T16:00:0${seq}Z`,
  by = 'ana',
) => ({
  seq,
  prev: '',
  at,
  by,
  event,
  facts,
})

test('an orphan is told once, and again when the key was written by hand once more or by us in between', () => {
  const [orphan] = orphansIn(view(Buffer.from(A)), null, APP)
  assert.ok(orphan)
  const told = entry(2, 'orphan-write', { ...orphan })
  assert.deepEqual(untold([orphan], []), [orphan])
  assert.deepEqual(untold([orphan], [told]), [])
  assert.deepEqual(untold([{ ...orphan, modifyIndex: 10 }], [told]).length, 1)
  assert.deepEqual(untold([orphan], [entry(3, 'ordered', { ring: RING }), told]), [orphan])
  assert.deepEqual(untold([orphan], [entry(3, 'ordered', { ring: 'canary' }), told]), [])
})

test('a history that is asked for a build gives its rollouts whole, and the orders of others that name it', () => {
  const entries = [
    entry(6, 'ended', { rollout: 'r2', build: B, phase: 'rolledBack' }),
    entry(5, 'ordered', { rollout: 'r2', ring: 'production', kind: 'close', build: A, generation: 3 }),
    entry(4, 'ordered', { rollout: 'r2', ring: 'production', kind: 'stage', build: B, generation: 2 }),
    entry(3, 'release-begun', { rollout: 'r2', build: B, rings: 'staging, production' }, undefined, 'ben'),
    entry(2, 'ordered', { rollout: 'r1', ring: 'staging', kind: 'raise', build: A, generation: 1 }),
    entry(1, 'release-begun', { rollout: 'r1', build: A, rings: 'staging' }),
  ]
  const any = { at: null, build: null, rings: [], by: null }
  const seqs = (over: object) => selectEntries(entries, { ...any, ...over }).map(({ seq }) => seq)
  assert.deepEqual(seqs({ build: B }), [6, 5, 4, 3])
  assert.deepEqual(seqs({ build: A }), [5, 2, 1])
  assert.deepEqual(seqs({ rings: ['production'] }), [6, 5, 4, 3])
  assert.deepEqual(seqs({ rings: ['staging'] }), [6, 3, 2, 1])
  assert.deepEqual(seqs({ by: 'ben' }), [3])
  assert.deepEqual(seqs({ at: '2026-11-22T16:00:02Z' }), [2, 1])
  const force = (at: string) => inForceAt(entries, at).map(({ ring, build }) => [ring, build])
  assert.deepEqual(force('2026-11-22T16:00:04Z'), [
    ['production', B],
    ['staging', A],
  ])
  assert.deepEqual(force('2026-11-22T16:00:01Z'), [])
})

test('a rollout record that knows nothing of digests, bypasses and what it superseded is read all the same', () => {
  const { orders, forced, supersedes, afterRollout, ...old } = readRollout(writeRollout(rolloutOf()))
  assert.deepEqual([orders, forced, supersedes, afterRollout], [{}, [], null, false])
  assert.equal(old.build, 'b2' as BuildId)
  const kept = {
    orders: { [RING as Name]: orderDigest(Buffer.from('x')) },
    forced: ['lineage'],
    supersedes: 'r0',
    afterRollout: true,
  }
  assert.partialDeepStrictEqual(readRollout(writeRollout(rolloutOf(kept))), kept)
})

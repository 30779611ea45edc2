// Owns the node that hostile builds are staged on: hot and an armed cold tree on a real disk, a canary beside them, and what is checked after each.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileStore } from '#adapters/file/store.ts'
import type { BuildId } from '#fleet/build.ts'
import { type ErrorCode, FleetError } from '#fleet/errors.ts'
import { digestOf, objectsOf } from '#fleet/manifest.ts'
import { encodeJournal } from '#puller/core/journal.ts'
import { tmp } from '#test/support/tmp.ts'
import { testNode } from '#test/support/tree-node.ts'
import { type ArchiveCase, type Laid, lay } from './archive-case.ts'
import { type Base, type Bases, openBases } from './bases.ts'
import { differences } from './compare-tree.ts'
import { type DamagedRoot, damage, putBack, smallFiles } from './disk-lies.ts'
import { makeCanary, surroundings } from './outside.ts'
import { decodeAll } from './pure.ts'
import { QUIET, rememberOrRefuse } from './small-state.ts'

/** What became of a hostile build: a code; or it was taken, and the tree is what its manifest says; or the decoders alone were asked, and believed it. */
export type Verdict = ErrorCode | 'accepted and equal' | 'believed'

/** Codes with which a hostile build may be refused: its bytes are wrong, it is not there, or it claims more than the disk has. */
export const REFUSALS: readonly ErrorCode[] = [
  'MANIFEST_INVALID',
  'LIMITS_EXCEEDED',
  'DIGEST_MISMATCH',
  'STORE_MISSING',
  'STORE_BAD_ANSWER',
  'DISK_FULL',
  'INODES_FULL',
]

/** What became of it, and whether the bytes went through the real staging. */
export interface Outcome {
  readonly verdict: Verdict
  readonly staged: boolean
}

export interface Arena {
  readonly bases: Bases
  /** Tells the lies, stages what comes of it, checks everything, and arms cold again. */
  stage(hostile: ArchiveCase): Promise<Outcome>
  /** Lays objects made by hand and stages them; else as `stage`. @param build the id that is ordered */
  stageLaid(build: string, laid: Laid): Promise<Verdict>
}

const JOURNAL = {
  phase: 'idle',
  job: null,
  verified: true,
  out: false,
  hotDrift: [],
  move: null,
  previous: null,
  activated: null,
  refusals: [],
  stand: null,
  crashes: { key: '', phases: {} },
} as const
const RATCHET = { v: 1, generation: 57, modifyIndex: 1_234, bare: false, record: null }

/** @param oneIn how many cases are decoded for each one that is staged as well */
export async function openArena(t: TestContext, oneIn = 1): Promise<Arena> {
  const bases = await openBases(t)
  const parent = await tmp(t, 'arena')
  const canary = join(parent, 'canary')
  makeCanary(canary)
  const root = join(parent, 'node', 'root')
  mkdirSync(join(parent, 'node'))
  makeCanary(join(parent, 'node', 'canary'))
  const world = { root, store: fileStore(bases.shop.directory), log: QUIET }
  let node = await testNode(t, world)
  await node.trees.journal.save(encodeJournal(JOURNAL))
  await node.trees.ratchet.save(RATCHET)
  await node.trees.shelf.save('11111111-2222-3333-4444-555555555555')
  await node.deploy(bases.hot)
  await node.stage(bases.cold)
  const { hotTree } = await node.trees.survey()
  assert.ok(hotTree !== null)
  const coldTree = hotTree === 'a' ? ('b' as const) : ('a' as const)
  const at: DamagedRoot = {
    root,
    hot: { tree: hotTree, manifest: bases.hot.manifest },
    cold: { tree: coldTree, manifest: bases.cold.manifest },
  }
  const cold = join(root, 'trees', coldTree)

  async function order(build: string, laid: Laid): Promise<Verdict> {
    const manifest = digestOf(laid.manifest)
    // Damage may have left another seal than cold's own, or none.
    const before = (await node.trees.survey()).cold
    let verdict: Verdict
    try {
      await node.stage({ build: build as BuildId, manifest, lines: [], rawBytes: 0 })
      verdict = 'accepted and equal'
    } catch (error) {
      if (!(error instanceof FleetError)) throw error
      assert.ok(REFUSALS.includes(error.code), `refused with ${error.code}: ${error.message}`)
      verdict = error.code
    }
    const sealed = (await node.trees.survey()).cold
    if (verdict === 'accepted and equal') {
      assert.deepEqual([sealed?.build, sealed?.manifest], [build, manifest], 'cold is sealed as what was ordered')
      assert.deepEqual(differences(cold, laid.manifest), [], 'the tree is what the manifest says')
    } else if (sealed !== null) {
      assert.equal(sealed.manifest, before?.manifest, 'a seal that is left is the one from before')
      assert.deepEqual(differences(cold, bases.cold.bytes), [], 'and its tree was not touched')
    }
    return verdict
  }

  async function armAgain(): Promise<void> {
    const survey = await node.trees.survey()
    if (survey.cold?.manifest === bases.cold.manifest && survey.armed) return
    await node.stage(bases.cold)
    assert.deepEqual(
      differences(cold, bases.cold.bytes),
      [],
      'an honest build is staged over whatever a hostile one left',
    )
  }

  async function watched(work: () => Promise<Verdict>): Promise<Verdict> {
    const before = surroundings(parent, root, coldTree)
    const verdict = await work()
    assert.deepEqual(surroundings(parent, root, coldTree), before, 'nothing around the cold tree was touched')
    return verdict
  }

  async function damaged(hostile: ArchiveCase, base: Base, laid: Laid): Promise<Verdict> {
    await node.trees.close(true)
    const sound = smallFiles(root)
    for (const lie of hostile.disk) damage(at, lie)
    node = await testNode(t, world)
    await rememberOrRefuse(node.trees)
    const verdict = await watched(() => order(base.build, laid))
    await node.trees.close(true)
    // The old seal of cold would vouch for a tree that is no longer its own.
    putBack(root, new Map([...sound].filter(([path]) => !path.endsWith(`${coldTree}.seal`))))
    node = await testNode(t, world)
    return verdict
  }

  return {
    bases,
    async stage(hostile) {
      const base = await bases.of(hostile.base)
      const laid = lay(hostile, base, bases.hot, canary)
      const read = decodeAll(laid, base, bases)
      const decided = hostile.disk.length + hostile.packed.length === 0
      // What the decoder refuses the staging refuses by the same call: one in four proves it.
      const proves = read === 'believed' || !decided || hostile.base % 4 === 0
      if (!proves || hostile.base % oneIn !== 0) return { verdict: read, staged: false }
      putObjects(bases, base.build, laid)
      const verdict =
        hostile.disk.length > 0 ? await damaged(hostile, base, laid) : await watched(() => order(base.build, laid))
      if (isHonest(hostile))
        assert.equal(
          verdict,
          'accepted and equal',
          'an honest build comes through whatever its delta and the small files are',
        )
      if (read !== 'believed' && laid.manifestObject !== null && hostile.packed.length === 0)
        assert.equal(verdict, read)
      await armAgain()
      return { verdict, staged: true }
    },
    async stageLaid(build, laid) {
      putObjects(bases, build, laid)
      const verdict = await watched(() => order(build, laid))
      await armAgain()
      return verdict
    },
  }
}

/** Manifest and artifact are honest: a delta is a courtesy, and the puller's own files are only memory. */
function isHonest({ frames, manifest, text, packed, artifact, via }: ArchiveCase): boolean {
  return [frames, manifest, text, packed, artifact].every((lies) => lies.length === 0) && via === 'object'
}

function putObjects({ shop, hot }: Bases, build: string, laid: Laid): void {
  const put = (name: string, bytes: Buffer | null) => {
    const path = join(shop.directory, name)
    mkdirSync(join(path, '..'), { recursive: true })
    if (bytes === null) rmSync(path, { force: true })
    else writeFileSync(path, bytes)
  }
  put(objectsOf.manifest(build), laid.manifestObject)
  put(objectsOf.artifact(build), laid.artifact)
  put(objectsOf.delta(build, hot.build), laid.delta)
}

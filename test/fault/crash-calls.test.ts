// Owns the proof, by the system calls of a real deploy, that each change of the disk is a step of its own and that what must last is synced first.
import assert from 'node:assert/strict'
import { basename, dirname } from 'node:path'
import { after, before, test } from 'node:test'
import { publishBuilds } from '#test/support/crash/builds.ts'
import { type Call, callsOf, isChange, isInTree, isOfTree, isSync, namings } from '#test/support/crash/calls.ts'
import { Workshop } from '#test/support/crash/image.ts'
import { errandIn, operationFor } from '#test/support/crash/kill.ts'
import { Quarry, rootOf } from '#test/support/crash/states.ts'

let workshop: Workshop
let calls: readonly Call[] = []

// A node with both trees sealed deploys a third build over one of them, swaps, and arms what it left.
before(async () => {
  workshop = await Workshop.open()
  const ground = { workshop, builds: await publishBuilds(workshop) }
  const state = await new Quarry(workshop, ground.builds, 'ext4').state('both')
  const operation = await operationFor(ground, state, 'delta')
  const mounted = await workshop.copy(state.kind, state.image)
  calls = await callsOf(workshop, errandIn(rootOf(mounted), operation))
})
after(() => workshop.close())

const tell = ({ name, path, to }: Call) => `${name} ${path}${to === null ? '' : ` → ${to}`}`

/** The first call after a moment that fits. */
function next(from: Call, fits: (call: Call) => boolean): Call | undefined {
  return calls.slice(calls.indexOf(from) + 1).find(fits)
}

function only(what: string, fits: (call: Call) => boolean): Call {
  const found = calls.filter(fits)
  assert.equal(found.length, 1, `${what}: ${found.map(tell).join(', ')}`)
  return found[0] as Call
}

test('D1: every system call that changes the disk or syncs it passes a step of its own: dying before the next is dying after it', () => {
  assert.ok(calls.filter(isChange).length > 80, `${calls.length} calls were seen`)
  const passed = new Map<string, boolean>()
  const bare: string[] = []
  for (const call of calls) {
    if (call.name === 'step') passed.set(call.thread, true)
    // A child of ours: the step stands before its start.
    else if (call.name !== 'syncfs') {
      if (!passed.get(call.thread)) bare.push(tell(call))
      passed.set(call.thread, false)
    }
  }
  assert.deepEqual(bare, [])
})

/** Believed by their digests alone: what is lost of them is fetched or worked out again. They get their names without an fsync. */
const isSoft = ({ to }: Call) => /^\.hotcold\/(manifests\/[^/]+|[ab]\.record|diff)$/.test(to ?? '')

test('D2: ratchet, seal, journal, marks and clean mark are on the disk before they get their names, and the names right after', () => {
  const names = namings(calls).filter((naming) => !isSoft(naming))
  const files = new Set(names.map(({ to }) => basename(to ?? '')))
  for (const file of ['ratchet.json', 'a.seal', 'journal.json', 'marks.json', 'clean']) assert.ok(files.has(file), file)
  const hasty = names.filter((naming) => {
    const before = calls
      .slice(0, calls.indexOf(naming))
      .filter(({ path, name }) => path === naming.path && name !== 'step')
    return !/^f(data)?sync$/.test(before.at(-1)?.name ?? '')
  })
  assert.deepEqual(hasty.map(tell), [], 'the bytes are synced after the last write and before the rename')
  const loose = names.filter((naming) => {
    const after = next(naming, ({ thread, name }) => thread === naming.thread && name !== 'step')
    return after === undefined || !isSync(after) || after.path !== dirname(naming.to ?? '')
  })
  assert.deepEqual(loose.map(tell), [], 'the directory is synced before anything else is done')
})

test('D2: the copy of the manifest and all of the tree are on the disk, by one syncfs, before the seal that names them has its name', () => {
  const copy = only('the copy gets its name', ({ to }) => /^\.hotcold\/manifests\/\w+\.json$/.test(to ?? ''))
  const last = calls.findLast(isInTree)
  const sealed = only('the seal gets its name', ({ to }) => to === 'trees/a.seal')
  assert.ok(last && next(last, (call) => call === sealed), 'nothing changes the tree after its seal')
  const later = calls.indexOf(copy) > calls.indexOf(last) ? copy : last
  const synced = next(later, ({ name }) => name === 'syncfs')
  assert.ok(synced && next(synced, (call) => call === sealed), 'copy and tree, syncfs, seal')
})

test('D2: the record has its name before the seal that names it by its digest', () => {
  const recorded = only('the record gets its name', ({ to }) => to === '.hotcold/a.record')
  assert.ok(next(recorded, ({ to }) => to === 'trees/a.seal'))
})

test('I4: the ratchet is on the disk before the first change of a tree, and the clean mark is gone before that', () => {
  const first = calls.find(isOfTree)
  assert.ok(first)
  const ratchet = namings(calls).find(({ to }) => to === '.hotcold/ratchet.json')
  assert.ok(ratchet && next(ratchet, (call) => call === first), 'the ratchet has its name before the tree is touched')
  const taken = only(
    'the clean mark is taken',
    ({ name, path }) => name.startsWith('unlink') && path === '.hotcold/clean',
  )
  const synced = next(taken, (call) => isSync(call) && call.path === '.hotcold')
  assert.ok(synced && next(synced, (call) => call === first))
})

test('I2: cold loses its seal, durably, before its first change, and gets one after its last one was synced with all of the tree', () => {
  const inTree = calls.filter(isInTree)
  const [first, last] = [inTree[0], inTree.at(-1)]
  assert.ok(first && last && inTree.length > 10)
  const unsealed = only(
    'the seal is taken away',
    ({ name, path }) => name.startsWith('unlink') && path === 'trees/a.seal',
  )
  const gone = next(unsealed, (call) => isSync(call) && call.path === 'trees')
  assert.ok(gone && next(gone, (call) => call === first), 'unseal, sync of its directory, first change')
  const synced = next(last, ({ name }) => name === 'syncfs')
  assert.ok(synced, 'syncfs comes after the last change')
  const sealing = next(last, ({ path, name }) => path.startsWith('trees/.a.seal') && name === 'openat')
  assert.ok(sealing && next(synced, (call) => call === sealing), 'the seal is begun once everything is synced')
})

test('I1: hot moves once, by a rename that is synced, and only to a tree whose seal is on the disk', () => {
  const move = only('hot moves', ({ to }) => to === 'hot')
  const after = next(move, ({ thread, name }) => thread === move.thread && name !== 'step')
  assert.ok(after && isSync(after) && after.path === '.', 'the root is synced right after')
  const sealed = namings(calls).find(({ to }) => to === 'trees/a.seal')
  const durable = sealed && next(sealed, (call) => isSync(call) && call.path === 'trees')
  assert.ok(durable && next(durable, (call) => call === move))
})

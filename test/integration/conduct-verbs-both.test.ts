// Owns the proof that each verb does the same through a living driver and without one: once, told in the history with who and why.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineIn } from '#fleet/wire.ts'
import { B, C } from '#test/support/rollout-sim.ts'
import { events, letGo, onA, rolloutOf, standing } from '#test/support/steering.ts'
import { until } from '#test/support/until.ts'

/** In an order in which each finds something to do; `told` is the entry of the history that it leaves. */
const VERBS: readonly { readonly argv: readonly string[]; readonly told: string }[] = [
  { argv: ['handover', '--to', 'chloe'], told: 'handed-over' },
  { argv: ['waive', 'production-4', '--reason', 'slow disk'], told: 'waived' },
  { argv: ['unwaive', 'production-4', '--reason', 'new disk'], told: 'unwaived' },
  { argv: ['hold', '--reason', 'fire drill'], told: 'line-held' },
  { argv: ['unhold', '--reason', 'drill is over'], told: 'line-released' },
  { argv: ['quarantine', C, '--reason', 'leaks'], told: 'quarantined' },
  { argv: ['clear', C, '--reason', 'it does not'], told: 'cleared' },
  { argv: ['pin', 'production-2', '--reason', 'heap dump'], told: 'pinned' },
  { argv: ['unpin', 'production-2', '--reason', 'dumped'], told: 'unpinned' },
  { argv: ['forget', 'production-4', '--reason', 'sold'], told: 'forgotten' },
  { argv: ['pause', '--reason', 'lunch'], told: 'held' },
  { argv: ['resume'], told: 'unheld' },
  { argv: ['abort', '--reason', 'enough'], told: 'ended' },
]

for (const driven of [true, false]) {
  test(`${driven ? 'through a living driver' : 'without a driver'} each verb is done once, and told with who and why`, async (t) => {
    const fleet = await onA(t, 4)
    await fleet.publish(C)
    const release = await standing(fleet)
    await fleet.nodes[3]?.die()
    await until('the dead one is silent', async () => (await fleet.conduct('status')).stdout.includes('1 silent'))
    if (!driven) {
      release.interrupt()
      await release.end
    }
    for (const { argv, told } of VERBS) {
      const [verb = ''] = argv
      const before = await events(fleet)
      const dry = await fleet.conduct(...argv, '--by', 'ben', '--dry-run')
      assert.equal(dry.code, 0, `${verb}: ${dry.stderr}`)
      assert.match(dry.stdout, new RegExp(`^Would ${verb}: `))
      assert.equal(
        (await events(fleet)).filter(({ event }) => event === told).length,
        before.filter(({ event }) => event === told).length,
      )

      const done = await fleet.conduct(...argv, '--by', 'ben', '--json')
      assert.equal(done.code, 0, `${verb}: ${done.stderr}`)
      const said = JSON.parse(done.stdout) as { verb: string; result: string; driven: boolean; message: string }
      assert.deepEqual([said.verb, said.result, said.driven], [verb, 'done', driven], said.message)
      const after = (await events(fleet)).slice(before.length)
      const entry = after.find(({ event }) => event === told)
      assert.equal(entry?.by, 'ben', `${verb} is told: ${JSON.stringify(after)}`)
      const why = argv.indexOf('--reason')
      if (why > 0) assert.match(JSON.stringify(entry?.facts), new RegExp(argv[why + 1] ?? ''), `${verb} says why`)

      const again = await fleet.conduct(...argv, '--by', 'ben')
      assert.equal(again.code, 0, `${verb} twice: ${again.stderr}`)
      assert.match(again.stdout, /^Nothing to do: /, `${verb} twice`)
      assert.equal(
        (await events(fleet)).slice(before.length).filter(({ event }) => event === told).length,
        1,
        `${verb} once`,
      )
    }
    if (driven) assert.equal((await release.end).code, 1, 'the driver of an aborted rollout ends')
    assert.equal((await rolloutOf(fleet)).phase, 'aborted')
    assert.deepEqual(lineIn((await fleet.ledger.view([], t.signal)).hold?.raw ?? null), [])
    letGo(fleet)
    const back = await fleet.conduct('rollback')
    assert.equal(back.code, 0, back.stderr)
    assert.equal((await fleet.conduct('release', B)).code, 0)
  })
}

// Owns the proof of the pre-flight of a release on a real Consul, a store and a git checkout: it refuses by name, and what is gone past stays in the history.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { objectsOf } from '#fleet/manifest.ts'
import { type Shop, startShop } from '#test/support/shop.ts'
import { tmp } from '#test/support/tmp.ts'

const signal = new AbortController().signal

async function publish(shop: Shop, build: string, ...argv: readonly string[]): Promise<void> {
  await shop.put({ 'app.js': build })
  await shop.publish(build, ...argv)
}
const ok = async (shop: Shop, ...argv: readonly string[]) => {
  const said = await shop.conduct(...argv)
  assert.equal(said.code, 0, said.stdout + said.stderr)
  return said
}

test('a required check that has not passed refuses by name; check sets it, and several at once all arrive', async (t) => {
  const shop = await startShop(t, { rings: ['production'] })
  await shop.configure('checks: { required: [ci, qa] }\n')
  await publish(shop, 'b1', '--check', 'ci=passed')
  const refused = await shop.conduct('release', 'b1')
  assert.equal(refused.code, 3)
  assert.match(
    refused.stderr,
    /A required check has not passed: b1 has not passed qa: nobody has said anything of it; nothing was written; conduct release b1 --force qa --reason TEXT goes past it/,
  )
  const dry = await shop.conduct('release', 'b1', '--dry-run')
  assert.equal(dry.code, 3)
  assert.match(
    dry.stdout,
    /^Would refuse to release b1:\n[\s\S]* {2}ci: ok, ci passed\n {2}qa: in the way, b1 has not passed qa/,
  )
  assert.deepEqual(JSON.parse((await shop.conduct('history', '--json')).stdout).history, [])

  await Promise.all(
    ['qa', 'load', 'lint', 'a11y'].map((name) => ok(shop, 'check', 'b1', name, 'passed', '--by', `bot-${name}`)),
  )
  const [entry] = JSON.parse((await shop.conduct('builds', '--json')).stdout).builds
  assert.deepEqual(entry.checks, { ci: 'passed', qa: 'passed', load: 'passed', lint: 'passed', a11y: 'passed' })
  assert.equal(entry.checkedBy.qa.by, 'bot-qa')
  assert.match((await ok(shop, 'check', 'b1', 'qa', 'passed')).stdout, /already: nothing was changed/)
  assert.match(
    (await ok(shop, 'check', 'b1', 'qa', 'failed', '--dry-run')).stdout,
    /^Would set qa of b1 from passed to failed\.$/m,
  )
  await ok(shop, 'release', 'b1')
  await publish(shop, 'b2')
  assert.match((await ok(shop, 'release')).stdout, /b1 is already there/, 'the newest that has passed what is required')
  assert.equal((await shop.conduct('check', 'b9', 'qa', 'passed')).code, 3)
  assert.equal((await shop.conduct('check', 'b1', 'q a', 'passed')).code, 2)
})

test('the newest must not go backwards: lineage by --contains or a checkout, else refused; --force with a reason is recorded', async (t) => {
  const shop = await startShop(t, { rings: ['production'] })
  const checkout = await tmp(t, 'checkout')
  const git = async (...argv: readonly string[]) => {
    const who = ['-c', 'user.name=ana', '-c', 'user.email=ana@example.com', '-c', 'commit.gpgsign=false']
    return (await promisify(execFile)('git', ['-C', checkout, ...who, ...argv])).stdout.trim()
  }
  const commit = async (name: string) => {
    await git('commit', '-q', '--allow-empty', '-m', name)
    return git('rev-parse', 'HEAD')
  }
  await git('init', '-q', '-b', 'main')
  const one = await commit('one')
  const two = await commit('two')
  await git('checkout', '-q', '-b', 'side', one)
  const side = await commit('side')

  await publish(shop, 'b1', '--commit', one)
  await ok(shop, 'release', 'b1')
  await publish(shop, 'b2', '--commit', two)
  const blind = await shop.conduct('release', 'b2')
  assert.equal(blind.code, 3)
  assert.match(
    blind.stderr,
    /^The build is not known to contain what runs now: b2 \([0-9a-f]{40}\) is not known to contain .* of b1, which runs now: nobody said so at publish, and no checkout is configured to ask/,
  )

  await shop.configure(`lineage: { checkout: "${checkout}" }\n`)
  await ok(shop, 'release', 'b2')
  await publish(shop, 'b3', '--commit', side)
  const backwards = await shop.conduct('release', 'b3')
  assert.equal(backwards.code, 3)
  assert.match(
    backwards.stderr,
    /b3 .* is not known to contain .* of b2, which runs now: .* says that it does not; nothing was written/,
  )
  assert.equal((await shop.conduct('release', 'b3', '--force', 'lineage')).code, 2, 'a reason is asked for')
  const typo = await shop.conduct('release', 'b3', '--force', 'linage', '--reason', 'x')
  assert.equal(typo.code, 2)
  assert.match(typo.stderr, /--force linage: there is no check of that name to go past, only store, previous, lineage/)
  const forced = await ok(shop, 'release', 'b3', '--force', 'lineage', '--reason', 'the cart is down')
  assert.match(forced.stderr, /Going past lineage: b3 /)
  const told = await shop.conduct('history')
  assert.match(told.stdout, /ana +began to release b3 to production \(r-[^)]+\), past lineage: the cart is down/)

  await publish(shop, 'b4', '--commit', two, '--contains', `${side.slice(0, 12)} ${two}`)
  await ok(shop, 'release', 'b4')
  await publish(shop, 'b5')
  const noted = await ok(shop, 'release', 'b5')
  assert.match(noted.stderr, /Note: nothing to compare: b5 was published without a commit\./)
  await ok(shop, 'rollback')
  await ok(shop, 'rollback', '--to', 'b1')
  const odd = await shop.conduct('publish', shop.dir, '--contains', 'main')
  assert.equal(odd.code, 2)
  assert.match(odd.stderr, /--contains "main" is no commit id/)
})

test('B1: a build whose objects are not whole in the store is refused before anything is written', async (t) => {
  const shop = await startShop(t, { rings: ['production'] })
  await publish(shop, 'b1')
  await ok(shop, 'release', 'b1')
  await publish(shop, 'b2')
  await shop.store.remove(objectsOf.artifact('b2'), signal)
  const refused = await shop.conduct('release', 'b2')
  assert.equal(refused.code, 3)
  assert.match(
    refused.stderr,
    /^The store does not hold the whole build: the artifact of b2 is not in the store; nothing was written/,
  )
  assert.match(refused.stderr, /Try: conduct publish DIR --build BUILD puts back what is missing/)
  await shop.publish('b2')
  await ok(shop, 'release', 'b2')
})

test('an emergency is logged like any other, by name and with its reason, and stands in the record', async (t) => {
  const shop = await startShop(t, { rings: ['production'] })
  await publish(shop, 'b1')
  assert.equal((await shop.conduct('release', 'b1', '--emergency')).code, 2)
  const said = await ok(shop, 'release', 'b1', '--emergency', '--reason', 'the cart is down', '--by', 'ben')
  assert.match(said.stderr, /Recorded: this release goes past gates and windows\./)
  const { history } = JSON.parse((await shop.conduct('history', '--json')).stdout)
  const begun = history.find(({ event }: { event: string }) => event === 'release-begun')
  assert.partialDeepStrictEqual(begun, {
    by: 'ben',
    facts: { emergency: true, forced: 'gates, windows', reason: 'the cart is down' },
  })
  const kept = await shop.fleet.ledger.finished(begun.facts.rollout, signal)
  assert.deepEqual(kept?.forced, ['gates', 'windows'])
  assert.match(
    (await shop.conduct('history')).stdout,
    /began to release b1 to production \(r-[^)]+\), in an emergency, past gates, windows: the cart is down/,
  )
})

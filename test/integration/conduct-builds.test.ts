// Owns the proof of what `conduct` says of builds: what one changes against another, and what waits for production.
import assert from 'node:assert/strict'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startShop } from '#test/support/shop.ts'

test('diff names files added, removed and changed with their bytes, the commits and the page that compares them', async (t) => {
  const shop = await startShop(t)
  await shop.configure('links: { compare: "https://git.example.com/web/compare/{{from}}...{{to}}" }\n')
  await shop.put({ 'app.js': 'one', 'lib/gone.js': 'x'.repeat(2_048), 'lib/same.js': 'same', run: '#!/bin/sh\n' })
  await shop.publish('b1', '--commit', '3f2a9c1')
  assert.equal((await shop.conduct('diff', 'b1')).code, 2, 'nothing runs yet to compare with')
  assert.equal((await shop.conduct('release', 'b1')).code, 0)
  await shop.put({ 'app.js': 'one two three', 'lib/gone.js': null, 'new/page.html': '<p>hi' })
  await chmod(join(shop.dir, 'run'), 0o755)
  await shop.publish('b2', '--commit', '9be01d2')

  const said = await shop.conduct('diff', 'b2')
  assert.equal(said.code, 0, said.stderr)
  assert.equal(
    said.stdout,
    `b2 against b1, which runs in production: 2 added, 1 removed, 2 changed (18 B), 2 the same.
  ~  app.js         3 B to 13 B
  -  lib/gone.js    2.0 KiB
  +  new            directory
  +  new/page.html  5 B
  ~  run            mode 0644 to 0755
Commits: 3f2a9c1..9be01d2  https://git.example.com/web/compare/3f2a9c1...9be01d2
`,
  )
  const back = JSON.parse((await shop.conduct('diff', 'b1', 'b2', '--json')).stdout)
  assert.deepEqual([back.from, back.to, back.counts], ['b2', 'b1', { added: 1, removed: 2, changed: 2, same: 2 }])
  assert.deepEqual(back.changes[0], {
    path: 'app.js',
    kind: 'changed',
    type: 'f',
    fromBytes: 13,
    toBytes: 3,
    note: null,
  })
  assert.match((await shop.conduct('diff', 'b1', 'b1')).stdout, /no difference in 5 entries/)
  const unknown = await shop.conduct('diff', 'b9')
  assert.equal(unknown.code, 3)
  assert.match(unknown.stderr, /b9 is not in the catalog of web/)
})

test('pending lists what is newer than production, with age, checks and quarantine; when all is out it says so', async (t) => {
  const shop = await startShop(t)
  await shop.configure('checks: { required: [ci, qa] }\n')
  assert.match((await shop.conduct('pending')).stdout, /^Nothing is pending: nothing runs in production yet\.$/m)
  await shop.put({ 'app.js': '1' })
  await shop.publish('b1', '--check', 'ci=passed', '--check', 'qa=passed')
  assert.equal((await shop.conduct('release', 'b1')).code, 0)
  assert.match((await shop.conduct('pending')).stdout, /^Nothing is pending: production runs b1\.$/m)
  await shop.put({ 'app.js': '2' })
  await shop.publish('b2', '--commit', '9be01d2', '--check', 'ci=failed')
  await shop.put({ 'app.js': '3' })
  await shop.publish('b3', '--check', 'ci=passed', '--check', 'qa=passed')
  assert.equal((await shop.conduct('release', 'b3', '--ring', 'staging')).code, 0)

  const said = await shop.conduct('pending')
  assert.match(said.stdout, /^2 builds pending; production runs b1\.$/m)
  assert.match(said.stdout, /^b3 +\d+ s +- +ana +staging +ci passed, qa passed$/m)
  assert.match(said.stdout, /^b2 +\d+ s +9be01d2 +ana +- +ci failed, qa missing$/m)
  const { pending } = JSON.parse((await shop.conduct('pending', '--json', '--limit', '1')).stdout)
  assert.equal(pending.length, 1)
  assert.deepEqual([pending[0].build, pending[0].running, pending[0].quarantine], ['b3', ['staging'], null])
  assert.ok(pending[0].ageSeconds >= 0 && pending[0].ageSeconds < 120)
})

// Owns what `conduct doctor` says of given facts: every row of its table, what a user may do with a file, and where a path is mounted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mayAccess, mountOf, userIn } from '#conductor/core/access.ts'
import { examine, tally } from '#conductor/core/doctor.ts'
import { CHECKS, type CheckSpec } from '#conductor/core/doctor-checks.ts'
import { unseen } from '#conductor/core/finding.ts'
import { ILL } from '#test/support/doctor-ills.ts'
import { HEALTHY } from '#test/support/doctor-scenes.ts'
import { fc } from '#test/support/properties.ts'

test('a machine in order: every check of the table is ok', () => {
  const findings = examine(HEALTHY)
  assert.deepEqual(
    findings.filter(({ outcome }) => outcome !== 'ok'),
    [],
  )
  assert.deepEqual([...new Set(findings.map(({ code }) => code))].toSorted(), Object.keys(CHECKS).toSorted())
  assert.deepEqual(
    findings.filter(({ todo }) => todo !== null),
    [],
  )
})

for (const [story, told, facts, words] of ILL) {
  test(`doctor: ${story}: ${told}`, () => {
    const [code, outcome] = told.split(' ')
    const found = examine(facts).find((one) => one.code === code && one.outcome === outcome)
    assert.ok(found, JSON.stringify(examine(facts).filter((one) => one.code === code)))
    assert.match(`${found.seen}. ${found.todo}`, words)
    assert.doesNotMatch(`${found.seen}${found.todo}`, /[{]\w+[}]|undefined|null/)
    assert.match(found.todo ?? '', /\S/, 'it says what to do')
  })
}

test('every outcome that the table promises is told by some facts, and no other', () => {
  const told = new Set(
    ILL.flatMap(([, , facts]) => examine(facts))
      .filter(({ outcome }) => outcome === 'wrong' || outcome === 'warning')
      .map(({ code, outcome }) => `${code} ${outcome}`),
  )
  const promised = Object.entries<CheckSpec>(CHECKS).flatMap(([code, { warning, wrong }]) => [
    ...(warning === null ? [] : [`${code} warning`]),
    ...(wrong === null ? [] : [`${code} wrong`]),
  ])
  assert.deepEqual([...told].toSorted(), promised.toSorted())
})

test('of a mute Consul one finding is wrong, and all others of it were not looked at', () => {
  const ill = ILL.find(([story]) => story === 'a mute Consul')
  const [consul] = ill?.[2].consuls ?? []
  assert.ok(consul)
  const none = unseen('Consul did not answer')
  const mute = { ...consul, agent: none, rights: none, session: none, transaction: none, watch: none }
  const findings = examine({ ...HEALTHY, consuls: [mute] }).filter(({ area }) => area === 'consul')
  assert.deepEqual(
    findings.filter(({ outcome }) => outcome === 'wrong').map(({ code }) => code),
    ['consul-reach'],
  )
  assert.equal(tally(findings).unseen, findings.length - 2, 'all but reach, and the token file, which needs no Consul')
})

test('a mode lets in its owner by the first digit, a member of its group by the second, others by the third, and root', () => {
  const bits = { read: 4, write: 2, execute: 1 } as const
  const how = fc.constantFrom('read', 'write', 'execute')
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0o777 }),
      fc.constantFrom(0, 10, 11),
      fc.constantFrom(5, 6),
      how,
      (mode, uid, gid, what) => {
        const who = { name: 'x', uid, gids: [gid] }
        const digit = mode.toString(8).padStart(3, '0')[uid === 10 ? 0 : gid === 5 ? 1 : 2]
        const expected =
          uid === 0 ? what !== 'execute' || /[1357]/.test(mode.toString(8)) : (Number(digit) & bits[what]) !== 0
        assert.equal(mayAccess({ mode: 0o100000 | mode, uid: 10, gid: 5 }, who, what), expected)
      },
    ),
  )
})

test('a user is found by name or number, with all groups it is a member of', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\nhotcold:x:990:980::/:/usr/sbin/nologin\n'
  const group = 'hotcold:x:980:\nwww-data:x:33:app,hotcold\nother:x:34:hotcoldx\n'
  assert.deepEqual(userIn('hotcold', passwd, group), { name: 'hotcold', uid: 990, gids: [980, 33] })
  assert.equal(userIn('990', passwd, group)?.name, 'hotcold')
  assert.equal(userIn('nobody', passwd, group), null)
})

test('the mount of a path is the longest that leads to it, of two at one place the upper; read-only by either option', () => {
  const info = [
    '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
    '30 22 0:30 / /srv rw - tmpfs tmpfs rw',
    '31 22 0:31 / /srv ro,noatime - xfs /dev/vdb rw',
    '32 22 0:32 / /srv/we rw - ext4 /dev/vdc ro',
    '33 22 0:33 / /srv/a\\040b rw - btrfs /dev/vdd rw',
  ].join('\n')
  assert.deepEqual(mountOf('/srv/web', info), { at: '/srv', type: 'xfs', options: ['ro', 'noatime'] })
  assert.deepEqual(mountOf('/srv/we', info).options, ['rw', 'ro'])
  assert.equal(mountOf('/srv/a b/c', info).type, 'btrfs')
  assert.equal(mountOf('/opt', info).at, '/')
})

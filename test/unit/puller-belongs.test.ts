// Owns the proof of whom a person's command acts as.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { becomeOwner } from '#puller/shell/belongs.ts'

const DEPLOY = { uid: 4321, gid: 4322 }

function recorded(euid: number) {
  const calls: unknown[] = []
  const of = {
    geteuid: () => euid,
    setgroups: (groups: readonly number[]) => void calls.push(['setgroups', ...groups]),
    setgid: (id: number) => void calls.push(['setgid', id]),
    setuid: (id: number) => void calls.push(['setuid', id]),
  }
  return { of, calls }
}

test('a command of the superuser acts as the owner of the root: groups first, the user last', () => {
  const { of, calls } = recorded(0)
  becomeOwner(DEPLOY, of)
  assert.deepEqual(calls, [
    ['setgroups', 4322],
    ['setgid', 4322],
    ['setuid', 4321],
  ])
})

test('in a root of its own, in none, and as any other user, a command stays who it is', () => {
  const superuser = recorded(0)
  becomeOwner(null, superuser.of)
  becomeOwner({ uid: 0, gid: 0 }, superuser.of)
  const other = recorded(1000)
  becomeOwner(DEPLOY, other.of)
  assert.deepEqual([superuser.calls, other.calls], [[], []])
})

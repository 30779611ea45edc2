// Owns the rule that the puller changes the disk through one module, whose steps the crash proofs stand on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { production, type Source } from '#test/support/source.ts'

/** All of `node:fs` that leaves the disk as it is; `openSync` is looked at below. */
const READING =
  /^(type )?(closeSync|constants|existsSync|fstatSync|lstatSync|openSync|readSync|readFileSync|readdirSync|readlinkSync|statSync|statfsSync|stat|readFile|readdir|readlink|Stats)$/
/** The only file that may change the disk, and the one that writes the trace of its steps. */
const DOORS = ['puller/shell/disk.ts', 'puller/shell/failpoints.ts']

function changes({ path, text, code }: Source): readonly string[] {
  const named = [...text.matchAll(/^import (?:(\w+|\* as \w+)|\{([^}]*)\}) from 'node:fs(?:\/promises)?'/gm)].flatMap(
    ([, whole, names = '']) => (whole === undefined ? names.split(',').map((name) => name.trim()) : [whole]),
  )
  const opened = [...code.matchAll(/\bO_(?:CREAT|WRONLY|RDWR|TRUNC|APPEND|TMPFILE)\b/g)].map(([flag]) => flag)
  const wrong = [...named.filter((name) => name !== '' && !READING.test(name)), ...opened]
  return wrong.map((name) => `${path}: ${name}`)
}

test('below puller only disk.ts changes the disk: everyone else imports of node:fs what reads, and opens files for reading', () => {
  const puller = production().filter(({ path }) => path.startsWith('puller/'))
  assert.ok(puller.length > 40, 'the files of the puller were found')
  assert.deepEqual(puller.filter(({ path }) => !DOORS.includes(path)).flatMap(changes), [])
  const door = puller.find(({ path }) => path === DOORS[0])
  assert.ok(door && changes(door).length > 15, 'the rule sees what the door itself does')
})

test('in disk.ts no change goes by without a step: each call of node:fs that changes something stands below one', () => {
  const door = production().find(({ path }) => path === DOORS[0])
  assert.ok(door)
  const bodies = door.code.split(/^(?=export function )/m).slice(1)
  const changing = new RegExp(
    `\\b(${changes(door)
      .flatMap((line) => /\w+Sync$/.exec(line) ?? [])
      .join('|')})\\(`,
  )
  const bare = bodies.filter((body) => changing.test(body) && !/\bstep\(at/.test(body.slice(0, body.search(changing))))
  assert.deepEqual(
    bare.map((body) => body.split('(')[0]),
    [],
  )
})

test('nobody changes the umask: it is one for all threads, and one of them may be making the files of a build', () => {
  const changing = production().filter(({ code }) => /\bumask\([^)]/.test(code))
  assert.deepEqual(
    changing.map(({ path }) => path),
    [],
  )
})

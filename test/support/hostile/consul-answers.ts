// Owns asking a lying Consul with the real client, and what may be believed of its answers.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { statusBoard } from '#adapters/consul/board.ts'
import { catalog } from '#adapters/consul/catalog.ts'
import type { ConsulClient } from '#adapters/consul/client.ts'
import { targetFeed } from '#adapters/consul/feed.ts'
import { pins } from '#adapters/consul/pins.ts'
import type { BuildId, Name } from '#fleet/build.ts'
import { isFleetError } from '#fleet/errors.ts'
import { connect } from '#test/support/connect.ts'
import { type Lie, startLyingConsul } from '#test/support/lying-consul.ts'
import { type AnswerCase, bodyOf, type CallName, KEY, NODES, SESSION } from './consul-lies.ts'

export interface AnswerWorld {
  /** @returns the code, or that the answer was believed */
  check(hostile: AnswerCase): Promise<string>
}

export async function openAnswers(t: TestContext): Promise<AnswerWorld> {
  let lie: Lie = {}
  const server = await startLyingConsul(t, () => lie)
  const usual = connect(t, { url: server.url })
  // What never ends is waited for on a clock that is faster.
  const hurried = connect(t, { url: server.url, factor: 200 })
  return {
    async check(hostile) {
      const { call, status, ending, chunked } = hostile
      const headers = {
        'content-type': 'application/json',
        'x-consul-index': '7',
        'x-consul-knownleader': 'true',
        'x-consul-lastcontact': '0',
        ...hostile.headers,
      }
      // These statuses have no body in HTTP.
      const body = status === 204 || status === 304 ? Buffer.alloc(0) : bodyOf(call, hostile.body)
      lie = { status, headers, body, ending, chunked }
      const { client, signal } = ending === 'hang' || ending === 'mute' ? hurried : usual
      let got: unknown
      try {
        got = await ask(client, call, signal)
      } catch (error) {
        const rejected = call === 'build' && isFleetError(error, 'RECORD_INVALID', 'RECORD_TOO_NEW')
        if (!rejected && !(isFleetError(error) && error.code.startsWith('CONSUL_'))) throw error
        return error.code
      }
      assertSaid(hostile, headers, body, got)
      return 'believed, as Consul said it'
    },
  }
}

function ask(client: ConsulClient, call: CallName, signal: AbortSignal): Promise<unknown> {
  const value = Buffer.from('x')
  switch (call) {
    case 'get':
      return client.get(KEY, signal)
    case 'list':
      return client.list(NODES, signal)
    case 'cas':
      return client.cas(KEY, value, 7, signal)
    case 'put':
      return client.put(KEY, value, signal).then(() => true)
    case 'delete':
      return client.delete(KEY, signal, 7)
    case 'acquire':
      return client.acquire(KEY, value, SESSION, signal)
    case 'transact':
      return client.transact([{ verb: 'get', key: KEY }], signal)
    case 'session':
      return client.createSession('n', 30, signal)
    case 'renew':
      return client.renewSession(SESSION, signal)
    case 'alive':
      return client.isSessionAlive(SESSION, signal)
    case 'order':
      return targetFeed(client, { app: 'web', ring: 'production' }).read(signal)
    case 'build':
      return catalog(client, { app: 'web' }).find('b2' as BuildId, signal)
    case 'roster':
      return statusBoard(client, { app: 'web' }).roster('production' as Name, signal)
    case 'pin':
      return pins(client, { app: 'web', ring: 'production', node: 'n-1' }).read(signal)
  }
}

type Json = Record<string, unknown>

/** What was believed was said with a status, a type and a shape that only an honest Consul's answer has. */
function assertSaid(hostile: AnswerCase, headers: Readonly<Record<string, unknown>>, body: Buffer, got: unknown): void {
  const { call, status, ending } = hostile
  assert.equal(ending, 'end', 'an answer that broke off is no answer')
  const isNone =
    got === null ||
    (call === 'get' && (got as { value: unknown }).value === null) ||
    (call === 'order' && (got as Json).kind === 'absent') ||
    (['list', 'roster'].includes(call) && Array.isArray(got) && got.length === 0) ||
    (call === 'list' && ((got as { value: unknown[] }).value?.length ?? 1) === 0)
  if (isNone) {
    assert.ok(
      status === 404 || (call === 'pin' && status === 200),
      `nothing is there only by Consul's own 404, not by ${status}`,
    )
    return
  }
  if ((status === 404 && call === 'renew') || (status === 409 && call === 'transact')) {
    assert.equal(call === 'renew' ? got : (got as Json).committed, false)
    return
  }
  assert.ok(status >= 200 && status < 300, `believed with status ${status}`)
  assert.match(String([headers['content-type']].flat()[0]), /^application\/json/)
  const said: unknown = JSON.parse(body.toString('utf8'))
  if (typeof got === 'boolean') {
    const alive = Array.isArray(said) && (said[0] as Json | undefined)?.ID === SESSION
    assert.equal(got, ['renew', 'alive'].includes(call) ? alive : said)
  }
  if (call === 'get') {
    const { value } = got as { value: { key: string; value: Uint8Array; modifyIndex: number } }
    const [item] = said as Json[]
    assert.deepEqual([value.key, value.modifyIndex], [item?.Key, item?.ModifyIndex])
    assert.equal(Buffer.from(value.value).toString('base64'), item?.Value ?? '')
  }
}

// Owns the load of the proof, a process of its own: requests at a steady rate, whether or not answers come.
//
// It opens as many connections as are needed, keeps them, and repeats nothing: what goes wrong is counted. A stall is caught up for
// half a second; beyond that the rate was not reached, and the counts of each second show it.
import { type Connection, openConnection, type Reply } from './connection.ts'
import { judgeOf, type Verdict } from './page.ts'
import { type LoadMessage, type LoadOrder, Tally } from './tally.ts'

const TICK_MS = 4
const ANSWER_TIMEOUT_MS = 20_000
const MAX_CONNECTIONS = 500
const CATCH_UP_MS = 500

const tally = new Tally()
/** First come, first served: none lies idle long enough to be closed by the other side. */
const idle: Connection[] = []
let stopping = false

function begin(order: LoadOrder): void {
  const judge = judgeOf(order.builds)
  const startedMs = performance.now()
  let lastMs = startedMs
  /** Requests that are due. */
  let due = 1

  const settle = (sentMs: number, answer: Reply | Error): void => {
    const nowMs = performance.now()
    const failed = answer instanceof Error
    const verdict: Verdict = failed ? { kind: 'failed', why: answer.message } : judge(answer.status, answer.body)
    const [node, met] = failed ? ['', false] : [answer.header('x-node') || 'balancer', answer.header('x-met') === '1']
    tally.settle(verdict, { node, met, atMs: nowMs - startedMs, tookMs: nowMs - sentMs })
  }

  const rest = (connection: Connection): void => {
    if (stopping) connection.close()
    else idle.push(connection)
  }

  const gone = (connection: Connection): void => {
    tally.connections -= 1
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
  }

  /** Null when all are busy. */
  const free = (): Connection | null => {
    const resting = idle.shift()
    if (resting !== undefined) return resting
    if (tally.connections >= MAX_CONNECTIONS) return null
    tally.connections += 1
    return openConnection({ ...order, timeoutMs: ANSWER_TIMEOUT_MS }, rest, gone)
  }

  const send = (nowMs: number): void => {
    for (; due >= 1; due -= 1) {
      const connection = free()
      if (connection === null) return
      const workMs = order.workMs[tally.sent % order.workMs.length] ?? 0
      tally.sent += 1
      connection.get(`/page?ms=${workMs}`, (answer) => settle(nowMs, answer))
    }
  }

  const tick = (): void => {
    const nowMs = performance.now()
    due = Math.min((CATCH_UP_MS * order.perSecond) / 1_000, due + ((nowMs - lastMs) * order.perSecond) / 1_000)
    lastMs = nowMs
    if (stopping) {
      finish()
    } else {
      tally.sendingMs = nowMs - startedMs
      send(nowMs)
    }
  }

  const finish = (): void => {
    for (const connection of idle.splice(0)) connection.close()
    if (tally.open > 0) return
    clearInterval(ticking)
    process.send?.(tally.report({ atEnd: true }), () => process.exit(0))
  }
  const ticking = setInterval(tick, TICK_MS)
}

process.on('message', (message: LoadMessage) => {
  if (message === 'tell') process.send?.(tally.report({ atEnd: false }))
  else if (message === 'stop') stopping = true
  else begin(message.order)
})
process.on('disconnect', () => process.exit(0))

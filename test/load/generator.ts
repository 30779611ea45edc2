// Owns the load of the proof, a process of its own: requests at a steady rate, due by the clock whether or not answers come.
//
// It opens as many connections as are needed, keeps them, and repeats nothing: what goes wrong is counted.
import { type Connection, openConnection, type Reply } from './connection.ts'
import { judgeOf, type Verdict } from './page.ts'
import { type LoadMessage, type LoadOrder, Tally } from './tally.ts'

const TICK_MS = 4
const ANSWER_TIMEOUT_MS = 20_000
/** A request that finds them all busy waits for one, and its wait counts. */
const MAX_CONNECTIONS = 900

const tally = new Tally()
/** First come, first served: none lies idle long enough to be closed by the other side. */
const idle: Connection[] = []
const queue: { readonly path: string; readonly dueMs: number }[] = []
let stopping = false
let startedMs = 0

function begin(order: LoadOrder): void {
  const judge = judgeOf(order.builds)
  startedMs = performance.now()

  const settle = (dueMs: number, answer: Reply | Error): void => {
    const nowMs = performance.now()
    const failed = answer instanceof Error
    const verdict: Verdict = failed ? { kind: 'failed', why: answer.message } : judge(answer.status, answer.body)
    const [node, met] = failed ? ['', false] : [answer.header('x-node') || 'balancer', answer.header('x-met') === '1']
    tally.settle(verdict, node, met, nowMs - startedMs, nowMs - dueMs)
  }

  const feed = (connection: Connection): void => {
    const next = queue.shift()
    if (next !== undefined) connection.get(next.path, (answer) => settle(next.dueMs, answer))
    else if (stopping) connection.close()
    else idle.push(connection)
  }

  const gone = (connection: Connection): void => {
    tally.connections -= 1
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
  }

  const serve = (): void => {
    while (queue.length > 0) {
      const free = idle.shift()
      if (free !== undefined) feed(free)
      else if (tally.connections < MAX_CONNECTIONS) {
        tally.connections += 1
        feed(openConnection({ ...order, timeoutMs: ANSWER_TIMEOUT_MS }, feed, gone))
      } else return
    }
  }

  const tick = (): void => {
    const due = Math.floor(((performance.now() - startedMs) * order.perSecond) / 1_000)
    while (!stopping && tally.due < due) {
      const workMs = order.workMs[tally.due % order.workMs.length] ?? 0
      tally.offeredMs = (tally.due * 1_000) / order.perSecond
      const dueMs = startedMs + tally.offeredMs
      queue.push({ path: `/page?ms=${workMs}`, dueMs })
      tally.due += 1
    }
    serve()
    if (stopping) for (const connection of idle.splice(0)) connection.close()
    if (stopping && tally.settled === tally.due) {
      clearInterval(ticking)
      process.send?.(tally.report({ atEnd: true }), () => process.exit(0))
    }
  }
  const ticking = setInterval(tick, TICK_MS)
}

process.on('message', (message: LoadMessage) => {
  if (message === 'tell') process.send?.(tally.report({ atEnd: false }))
  else if (message === 'stop') stopping = true
  else begin(message.order)
})
process.on('disconnect', () => process.exit(0))

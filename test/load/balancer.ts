// Owns the load balancer of the load proof: a real HAProxy before the nodes, taken in and out by its admin socket, and its own counts.
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { end, hasEnded, mortal } from '#test/support/child.ts'
import { until } from '#test/support/until.ts'
import { askAdmin } from './admin.ts'
import { isBack, isFront, isServer, type Row, rowsOf } from './stat.ts'

export interface Backend {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** HAProxy's own counts since it started, over all nodes. */
export interface BalancerCounts {
  /** Answers to clients by status: those of the application, and those that HAProxy makes itself. */
  readonly answers: Readonly<Record<'1xx' | '2xx' | '3xx' | '4xx' | '5xx' | 'other', number>>
  /** Requests that it could not understand or would not take. */
  readonly refused: number
  /** Connections to a node that failed, and answers that broke off. */
  readonly broken: number
  /** Requests sent once more, to the same node or to another: a failure that no client would have seen. */
  readonly retried: number
  /** How often a node failed its checks. */
  readonly failedChecks: number
}

export interface Balancer {
  counts(): Promise<BalancerCounts>
}

/** One thread, so that no request is given to a node once the command that drains it is answered. Nothing is retried: failures must show. */
function configOf(socket: string, host: string, port: number, nodes: readonly Backend[]): string {
  const servers = nodes.map(({ name, host: at, port: on }) => `  server ${name} ${at}:${on} check`)
  return `global
  nbthread 1
  maxconn 1000
  stats socket ${socket} mode 600 level admin
defaults
  mode http
  retries 0
  option http-keep-alive
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout queue 20s
  timeout http-keep-alive 60s
  timeout check 10s
frontend web
  bind ${host}:${port}
  default_backend nodes
backend nodes
  balance roundrobin
  option httpchk GET /healthz
  http-response set-header x-node %s
  default-server inter 500ms fall 5 rise 1
${servers.join('\n')}
`
}

/**
 * Starts it and waits until it has a node to send to; ended after the test.
 * @param options.dir for its config and its socket
 * @param install brings the nodes their first build, once there is a balancer for their hooks to tell
 */
export async function startBalancer(
  t: Pick<TestContext, 'after'>,
  options: { readonly dir: string; readonly host: string; readonly port: number; readonly nodes: readonly Backend[] },
  install: () => Promise<void>,
): Promise<Balancer> {
  const { dir, host, port, nodes } = options
  const socket = join(dir, 'haproxy.sock')
  const config = join(dir, 'haproxy.cfg')
  await writeFile(config, configOf(socket, host, port, nodes))
  const log = join(dir, 'haproxy.log')
  const out = openSync(log, 'a')
  const child = spawn(...mortal('haproxy', '-db', '-f', config), { stdio: ['ignore', out, out] })
  closeSync(out)
  t.after(() => end(child, 'SIGKILL'))
  const stat = () => askAdmin(socket, 'show stat')
  await until('HAProxy listens', async () => hasEnded(child) || (await stat()) !== '', 20_000)
  if (hasEnded(child))
    throw new Error(`HAProxy did not start; .ci/components installs it:\n${await readFile(log, 'utf8')}`)
  await install()
  const up = async () => rowsOf(await stat()).filter((row) => isServer(row) && row.status === 'UP').length
  await until('HAProxy finds every node healthy', async () => (await up()) === nodes.length, 20_000)
  return { counts: async () => countsIn(rowsOf(await stat())) }
}

function countsIn(rows: readonly Row[]): BalancerCounts {
  const sum = (kind: (row: Row) => boolean, ...columns: readonly string[]): number =>
    rows.filter(kind).reduce((total, row) => total + columns.reduce((of, name) => of + Number(row[name] ?? 0), 0), 0)
  const answered = (of: string): number => sum(isFront, `hrsp_${of}`)
  return {
    answers: {
      '1xx': answered('1xx'),
      '2xx': answered('2xx'),
      '3xx': answered('3xx'),
      '4xx': answered('4xx'),
      '5xx': answered('5xx'),
      other: answered('other'),
    },
    refused: sum(isFront, 'ereq', 'dreq'),
    broken: sum(isBack, 'econ', 'eresp', 'srv_abrt'),
    retried: sum(isBack, 'wretr', 'wredis'),
    failedChecks: sum(isServer, 'chkfail'),
  }
}

// Owns a booted machine on which Hotcold was installed as docs/install.md says: a puller, an application that it deploys, and builds to release.
import type { TestContext } from 'node:test'
import { until } from '#test/support/until.ts'
import { bootHost, type Host, type Said } from './host.ts'

export const PULLER = 'hotcold-puller@web.service'

const NODE = '/opt/hotcold/node_modules/.bin/node'

const PULLER_CONFIG = `app: web
ring: production
root: /srv/web
node: host
consul: { tokenFile: /run/credentials/hotcold-puller@web.service/consul.token }
store: { url: file:///srv/builds }
drain: { kind: http, url: http://127.0.0.1:8080/active, timeoutSeconds: 300, intervalMs: 50 }
hooks: { afterSwap: [systemctl, reload-or-restart, web] }
verify: { http: http://127.0.0.1:8080/healthz, healthySeconds: 0.2, intervalMs: 50, identity: { json: build } }
coldQuietSeconds: 0
fetch: { spreadSeconds: 0 }
`

const CONDUCT_CONFIG = `app: web
store: { url: file:///srv/builds }
rings: [production]
`

const WEB_UNIT = `[Service]
User=www-data
ExecStart=${NODE} /opt/hotcold/test/support/served-app-main.ts /srv/web 8080
ExecReload=/bin/kill -HUP $MAINPID
`

export interface Installed {
  readonly host: Host
  /** `conduct`, to its end. */
  conduct(...argv: readonly string[]): Promise<Said>
  /** Publishes a build that says who it is; its id. */
  publish(word: string): Promise<string>
  /** Asks the application; null when it does not answer. */
  ask(path: string): Promise<Record<string, unknown> | null>
  /** Resolves once the unit is as systemd calls it, and has been started anew so often. */
  started(state: string, restarts: number): Promise<void>
  status(): Promise<{ readonly phase: string; readonly hot: string | null }>
}

/** A machine with the units installed and enabled, booted with them. */
export async function installedHost(t: TestContext, name: string): Promise<Installed> {
  const host = await bootHost(t, name)
  await host.must('/opt/hotcold/systemd/install', 'puller@web', 'conductor')
  host.write('/etc/hotcold/puller/web.yaml', PULLER_CONFIG)
  host.write('/etc/hotcold/conduct.yaml', CONDUCT_CONFIG)
  host.write('/etc/credstore/hotcold-web.consul.token', 'a-token-that-nobody-checks\n', 0o600)
  host.write('/etc/systemd/system/web.service', WEB_UNIT)
  await host.must(
    'install',
    '-D',
    '-m',
    '0644',
    '/opt/hotcold/systemd/hotcold.rules',
    '/etc/polkit-1/rules.d/50-hotcold.rules',
  )
  await host.must('install', '-d', '-m', '0755', '/srv/builds')
  await host.must('systemctl', 'enable', PULLER)
  await host.reboot()
  const conduct = (...argv: readonly string[]) => host.run('/opt/hotcold/conductor/conduct', ...argv)
  const ask = async (path: string) => {
    const said = await host.run(NODE, '-e', ASK, `http://127.0.0.1:8080${path}`)
    return said.code === 0 ? (JSON.parse(said.out) as Record<string, unknown>) : null
  }
  return {
    host,
    conduct,
    ask,
    async publish(word) {
      const id = `b-${word}`
      host.write(`/srv/source-${word}/build.txt`, `${id}\n`)
      host.write(`/srv/source-${word}/a.txt`, word)
      host.write(`/srv/source-${word}/b.txt`, word)
      await host.must('/opt/hotcold/conductor/conduct', 'publish', `/srv/source-${word}`, '--build', id)
      return id
    },
    async started(state, restarts) {
      await until(`${PULLER} is ${state} after ${restarts} restarts`, async () => {
        const [now, times] = await Promise.all([
          host.property(PULLER, 'ActiveState'),
          host.property(PULLER, 'NRestarts'),
        ])
        return now === state && Number(times) >= restarts
      })
    },
    async status() {
      const said = await host.must(
        '/opt/hotcold/puller/puller',
        'status',
        '--config',
        '/etc/hotcold/puller/web.yaml',
        '--json',
      )
      return JSON.parse(said) as { phase: string; hot: string | null }
    },
  }
}

const ASK = `fetch(process.argv[1], { signal: AbortSignal.timeout(60_000) }).then(async (answer) => console.log(await answer.text()), () => process.exit(1))`

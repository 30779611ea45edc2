// Owns the socket by which systemd hears of its services, in tests: Node has none of its kind, so a child of ours listens.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { end, mortal } from './child.ts'
import { tmp } from './tmp.ts'
import { until } from './until.ts'

const LISTEN = `
use Socket; $| = 1;
socket(my $s, PF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($s, sockaddr_un($ARGV[0])) or die $!;
print "listening\\n";
while (defined recv($s, my $m, 4096, 0)) { $m =~ tr/\\n/;/; print "$m\\n"; }`

export interface NotifySocket {
  readonly path: string
  /** Messages so far; the fields of one are joined by semicolons. Barriers are none. */
  messages(): readonly string[]
}

export async function notifySocket(t: TestContext): Promise<NotifySocket> {
  const path = join(await tmp(t, 'notify'), 'socket')
  const child = spawn(...mortal('perl', '-e', LISTEN, path), { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => end(child, 'SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await until('it listens', () => text.startsWith('listening\n'), 10_000)
  const messages = () =>
    text
      .split('\n')
      .slice(1, -1)
      .filter((message) => !message.startsWith('BARRIER'))
  return { path, messages }
}

// Owns a real S3 server for tests: Ceph's RADOS Gateway with one monitor and one memory store, on a loopback address of its own.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { mortal } from './child.ts'
import { until } from './until.ts'

const run = promisify(execFile)

export interface Rgw {
  /** Where it listens, on a loopback address of its own. */
  readonly endpoint: string
  /** A bucket that only this test uses. */
  readonly bucket: string
  /** `s3://<bucket>` */
  readonly url: string
  /** For child processes; this process has them set too, as the SDK's chain reads them. */
  readonly env: Readonly<Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY' | 'AWS_REGION', string>>
  readonly client: S3Client
}

const CREDENTIALS = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' }

let cluster: Promise<string> | null = null

/** A fresh bucket on this process's cluster, which starts with the first call (about 2 s) and ends with the process. */
export async function startRgw(t: TestContext): Promise<Rgw> {
  cluster ??= startCluster()
  const endpoint = await cluster
  const env = {
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    AWS_REGION: 'us-east-1',
  }
  Object.assign(process.env, env)
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: CREDENTIALS,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  t.after(() => client.destroy())
  const bucket = `t${randomBytes(6).toString('hex')}`
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  return { endpoint, bucket, url: `s3://${bucket}`, env, client }
}

async function startCluster(): Promise<string> {
  const ip = await freeAddress()
  const dir = mkdtempSync(join(tmpdir(), 'hotcold-rgw-'))
  const daemons: ChildProcess[] = []
  process.on('exit', () => {
    for (const daemon of daemons) daemon.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  })
  const fsid = randomUUID()
  const conf = writeConfig(dir, ip, fsid)
  const daemon = (program: string, ...args: readonly string[]) => {
    const child = spawn(...mortal(program, '-c', conf, ...args, '-f'), { stdio: 'ignore' })
    child.unref()
    daemons.push(child)
  }
  for (const [index, name] of ['mon.', 'client.admin', 'client.rgw', 'osd.0'].entries()) {
    const make = index === 0 ? ['--create-keyring'] : []
    const caps = ['mon', 'osd', 'mgr'].flatMap((what) => ['--cap', what, 'allow *'])
    await run('ceph-authtool', [...make, join(dir, 'keyring'), '--gen-key', '-n', name, ...caps])
  }
  const monmap = join(dir, 'monmap')
  await run('monmaptool', ['--create', '--addv', 'a', `[v2:${ip}:3300,v1:${ip}:6789]`, '--fsid', fsid, monmap])
  await run('ceph-mon', ['-c', conf, '--mkfs', '-i', 'a', '--monmap', monmap, '--keyring', join(dir, 'keyring')])
  daemon('ceph-mon', '-i', 'a')
  const osd = randomUUID()
  await run('ceph', ['-c', conf, 'osd', 'new', osd], { timeout: 30_000 })
  await run('ceph-osd', ['-c', conf, '-i', '0', '--mkfs', '--osd-uuid', osd])
  daemon('ceph-osd', '-i', '0')
  daemon('radosgw', '-n', 'client.rgw')
  const endpoint = `http://${ip}:7480`
  await until('the S3 server answers', async () => (await fetch(endpoint)).ok, 30_000)
  const user = ['--uid=test', '--display-name=test', '--access-key=testkey', '--secret-key=testsecret']
  await run('radosgw-admin', ['-c', conf, 'user', 'create', ...user])
  return endpoint
}

/** A loopback address on which nobody holds the monitor's port: test files run side by side, and each has a cluster of its own. */
async function freeAddress(): Promise<string> {
  for (;;) {
    const [a = 0, b = 0] = randomBytes(2)
    const ip = `127.77.${a}.${(b % 254) + 1}`
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer()
      probe.once('error', () => resolve(false))
      probe.listen(3300, ip, () => probe.close(() => resolve(true)))
    })
    if (free) return ip
  }
}

function writeConfig(dir: string, ip: string, fsid: string): string {
  for (const name of ['mon', 'osd', 'rgw', 'run', 'log']) mkdirSync(join(dir, name))
  const path = join(dir, 'ceph.conf')
  writeFileSync(
    path,
    `[global]
fsid = ${fsid}
mon host = [v2:${ip}:3300,v1:${ip}:6789]
public addr = ${ip}
cluster addr = ${ip}
keyring = ${dir}/keyring
run dir = ${dir}/run
admin socket = ${dir}/run/$name.asok
pid file = ${dir}/run/$name.pid
log file = ${dir}/log/$name.log
crash dir = ${dir}/run
mon cluster log file = ${dir}/log/cluster.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
osd crush chooseleaf type = 0
mon data avail warn = 2
mon data avail crit = 1
mon max pg per osd = 1000
paxos propose interval = 0.05
paxos min wait = 0.02
[mon.a]
mon data = ${dir}/mon
[osd]
osd data = ${dir}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd memory target = 939524096
[client.rgw]
rgw data = ${dir}/rgw
rgw frontends = beast endpoint=${ip}:7480
rgw gc obj min wait = 5
`,
  )
  return path
}

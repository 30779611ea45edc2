// Owns opening the store that a URL names. The S3 client is loaded only where a store is on S3.
import { fileURLToPath } from 'node:url'
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore, Clock, Logger } from '#fleet/ports.ts'
import { fileStore } from './file/store.ts'
import { httpStore } from './http/store.ts'

/** How long a store may keep us waiting. */
export interface StorePatience {
  /** For the head of an answer, retries included, in milliseconds. */
  readonly answerMs: number
  /** Between two pieces of a body, in milliseconds. */
  readonly stallMs: number
}

/** Where builds lie. Credentials for S3 come by the SDK's own chain: environment, shared files, instance role. */
export interface StoreOptions {
  /** `s3://bucket/prefix`, `file:///dir`, `http(s)://host/path` (read-only). */
  readonly url: string
  /** S3: another server than Amazon's. */
  readonly endpoint?: string
  /** S3: default us-east-1. */
  readonly region?: string
  /** S3: the bucket in the path, not in the host name. Default: with `endpoint` true, else false. */
  readonly pathStyle?: boolean
  /** A directory that is not there yet is no empty store: for those who only read. */
  readonly mustExist?: boolean
  /** Default 15 s for an answer, 30 s between two pieces. */
  readonly patience?: Partial<StorePatience>
}

const PATIENCE: StorePatience = { answerMs: 15_000, stallMs: 30_000 }

/**
 * Opens a store; nothing is asked of it yet.
 * @throws FleetError `CONFIG_INVALID` when the URL names none
 */
export async function openStore(
  options: StoreOptions,
  world: { readonly clock: Clock; readonly log: Logger },
): Promise<BuildStore> {
  const patience = { ...PATIENCE, ...options.patience }
  const url = URL.parse(options.url)
  switch (url?.protocol) {
    case 'file:':
      return fileStore(directoryOf(url), world.clock, options.mustExist)
    case 'http:':
    case 'https:':
      return httpStore(options.url, patience, world.clock)
    case 's3:': {
      const { s3Store } = await import('./s3/store.ts')
      return s3Store(url, options, patience)
    }
    default:
      throw new FleetError(
        'CONFIG_INVALID',
        `store url "${options.url}" is none of s3://bucket/prefix, file:///directory, http(s)://host/path`,
      )
  }
}

function directoryOf(url: URL): string {
  if (url.host !== '' && url.host !== 'localhost') {
    throw new FleetError('CONFIG_INVALID', `store url "${url.href}" names a host: a directory is file:///absolute/path`)
  }
  return fileURLToPath(url).replace(/(?<=.)\/+$/, '')
}

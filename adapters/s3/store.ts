// Owns the store on S3, Amazon's or another (`s3://bucket/prefix`).
import type { Readable } from 'node:stream'
import { DeleteObjectCommand, GetObjectCommand, type GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3'
import { readBody } from '#adapters/body.ts'
import type { StoreOptions, StorePatience } from '#adapters/store.ts'
import { FleetError } from '#fleet/errors.ts'
import type { BuildStore } from '#fleet/ports.ts'
import { ask, type Bucket, findObject, listObjects } from './bucket.ts'
import { createObject } from './upload.ts'

/**
 * A store on S3. Readers need `s3:GetObject` and also `s3:ListBucket`: without the latter Amazon answers 403 where an object is missing.
 * @throws FleetError `CONFIG_INVALID` when the URL names no bucket
 */
export function s3Store(url: URL, options: StoreOptions, patience: StorePatience): BuildStore {
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '')
  if (url.host === '') throw new FleetError('CONFIG_INVALID', `store url "${url.href}" names no bucket`)
  const bucket: Bucket = {
    client: clientOf(options),
    name: url.host,
    keyOf: (object) => (prefix === '' ? object : `${prefix}/${object}`),
    what: (object) => `${object} in ${url.href}`,
    patience,
  }
  return {
    find: (name, signal) => findObject(bucket, name, signal),
    read: (name, how, signal) => readObject(bucket, name, how, signal),
    create: async (name, body, signal) => {
      // Most repeats end here, before a byte is packed; the upload itself is conditional all the same.
      if ((await findObject(bucket, name, signal)) !== null) return 'exists'
      return createObject(bucket, name, body, signal)
    },
    list: (prefix, signal) => listObjects(bucket, prefix, signal),
    remove: async (name, signal) => {
      const command = new DeleteObjectCommand({ Bucket: bucket.name, Key: bucket.keyOf(name) })
      await ask(bucket, name, signal, patience.answerMs, (abortSignal) => bucket.client.send(command, { abortSignal }))
    },
  }
}

function clientOf({ endpoint, region, pathStyle }: StoreOptions): S3Client {
  return new S3Client({
    region: region ?? 'us-east-1',
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: pathStyle ?? endpoint !== undefined,
    // Servers that know no trailers refuse the SDK's default; our own digests decide about every byte anyway.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    followRegionRedirects: false,
    maxAttempts: 3,
  })
}

async function* readObject(
  bucket: Bucket,
  name: string,
  { range, version }: Parameters<BuildStore['read']>[1],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (range !== undefined && range.end <= range.start) return
  const command = new GetObjectCommand({
    Bucket: bucket.name,
    Key: bucket.keyOf(name),
    ...(range !== undefined && { Range: `bytes=${range.start}-${range.end - 1}` }),
    ...(version !== undefined && { IfMatch: version }),
  })
  // The body must outlive the deadline of its head: it gets a signal of its own, and `readBody` watches over it.
  const answer: GetObjectCommandOutput = await ask(bucket, name, signal, bucket.patience.answerMs, (abortSignal) =>
    bucket.client.send(command, { abortSignal }),
  )
  const what = bucket.what(name)
  if (answer.Body === undefined || answer.ContentLength === undefined) {
    throw new FleetError('STORE_BAD_ANSWER', `${what} came without a body`)
  }
  const wanted = range === undefined ? answer.ContentLength : range.end - range.start
  if (answer.ContentLength > wanted) throw new FleetError('STORE_BAD_ANSWER', `${what} came longer than asked for`)
  const { stallMs } = bucket.patience
  yield* readBody(answer.Body as Readable, { bytes: answer.ContentLength, stallMs, what }, signal)
}

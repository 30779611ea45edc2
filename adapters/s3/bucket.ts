// Owns asking a bucket: every request has a deadline, and its errors are in our words.
import { HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3'
import type { StorePatience } from '#adapters/store.ts'
import { FleetError } from '#fleet/errors.ts'
import type { ObjectFacts } from '#fleet/ports.ts'
import { isMissing, s3Fault } from './faults.ts'

/** A bucket, and what stands before every object's name in it. */
export interface Bucket {
  readonly client: S3Client
  readonly name: string
  readonly keyOf: (object: string) => string
  readonly what: (object: string) => string
  readonly patience: StorePatience
}

/** One request of the client under a deadline, its errors in our words. */
export async function ask<answer>(
  bucket: Bucket,
  name: string,
  signal: AbortSignal,
  limitMs: number,
  send: (signal: AbortSignal) => Promise<answer>,
): Promise<answer> {
  signal.throwIfAborted()
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), limitMs)
  try {
    return await send(AbortSignal.any([signal, late.signal]))
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const what = bucket.what(name)
    if (!late.signal.aborted) throw s3Fault(error, what)
    throw new FleetError('STORE_UNREACHABLE', `${what}: no answer within ${Math.round(limitMs / 1_000)} s`, {
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
}

/** Facts of an object, or null when there is none. */
export async function findObject(bucket: Bucket, name: string, signal: AbortSignal): Promise<ObjectFacts | null> {
  const command = new HeadObjectCommand({ Bucket: bucket.name, Key: bucket.keyOf(name) })
  const facts = await ask(bucket, name, signal, bucket.patience.answerMs, async (abortSignal) => {
    try {
      return await bucket.client.send(command, { abortSignal })
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  })
  if (facts === null) return null
  if (facts.ContentLength === undefined || facts.ETag === undefined) {
    throw new FleetError('STORE_BAD_ANSWER', `${bucket.what(name)} came without length or ETag`)
  }
  return { bytes: facts.ContentLength, version: facts.ETag }
}

/** The names of all objects below a prefix, a thousand to a request. */
export async function* listObjects(bucket: Bucket, prefix: string, signal: AbortSignal): AsyncGenerator<string> {
  const base = bucket.keyOf('')
  for (let token: string | undefined; ; ) {
    const where = { Bucket: bucket.name, Prefix: bucket.keyOf(prefix) }
    const command = new ListObjectsV2Command({ ...where, ...(token !== undefined && { ContinuationToken: token }) })
    const page = await ask(bucket, prefix, signal, bucket.patience.answerMs, (abortSignal) =>
      bucket.client.send(command, { abortSignal }),
    )
    for (const { Key } of page.Contents ?? []) if (Key?.startsWith(base)) yield Key.slice(base.length)
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    if (token === undefined) return
  }
}

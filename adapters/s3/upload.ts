// Owns creating an object on S3 from a stream of unknown length: one conditional request, or several parts that vanish when anything fails.
import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { inParts } from '#adapters/in-parts.ts'
import { FleetError } from '#fleet/errors.ts'
import { ask, type Bucket, findObject } from './bucket.ts'
import { isTaken } from './faults.ts'

const PART_BYTES = 8 * 1024 * 1024
/** Parts on their way at once: with the one being filled, four times `PART_BYTES` is all the memory an upload takes. */
const PARTS_AT_ONCE = 3
/** An upload slower than this is given up. */
const LEAST_BYTES_PER_SECOND = 32 * 1024

/**
 * Creates an object unless there is one. The condition is the server's (`If-None-Match: *`), both for a single request and for the one
 * that completes the parts.
 */
export async function createObject(
  bucket: Bucket,
  name: string,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<'created' | 'exists'> {
  const parts = inParts(body, PART_BYTES)
  try {
    const first = await parts.next()
    const second = await parts.next()
    if (second.done) return await putWhole(bucket, name, first.done ? new Uint8Array(0) : first.value, signal)
    const head = [first, second].flatMap((part) => (part.done ? [] : [part.value]))
    return await putParts(bucket, name, head, parts, signal)
  } finally {
    // Whatever ended the upload, the body is told: it may hold an open file.
    await parts.return(undefined)
  }
}

function limitMs(bucket: Bucket, bytes: number): number {
  return bucket.patience.answerMs + (bytes * 1_000) / LEAST_BYTES_PER_SECOND
}

/** Content-MD5: the only checksum that every S3 server compares. */
function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64')
}

async function putWhole(
  bucket: Bucket,
  name: string,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<'created' | 'exists'> {
  const command = new PutObjectCommand({
    Bucket: bucket.name,
    Key: bucket.keyOf(name),
    Body: bytes,
    ContentLength: bytes.byteLength,
    ContentMD5: md5(bytes),
    IfNoneMatch: '*',
  })
  return ask(bucket, name, signal, limitMs(bucket, bytes.byteLength), async (abortSignal) => {
    try {
      await bucket.client.send(command, { abortSignal })
      return 'created'
    } catch (error) {
      if (isTaken(error)) return 'exists'
      throw error
    }
  })
}

async function putParts(
  bucket: Bucket,
  name: string,
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
  signal: AbortSignal,
): Promise<'created' | 'exists'> {
  const at = { Bucket: bucket.name, Key: bucket.keyOf(name) }
  const { answerMs } = bucket.patience
  const { UploadId } = await ask(bucket, name, signal, answerMs, (abortSignal) =>
    bucket.client.send(new CreateMultipartUploadCommand(at), { abortSignal }),
  )
  if (UploadId === undefined) throw new FleetError('STORE_BAD_ANSWER', `${bucket.what(name)}: the upload got no id`)
  try {
    const parts = await sendParts(bucket, name, UploadId, head, rest, signal)
    // Not every server heeds the condition when parts are put together (Ceph 16 does not): looking first leaves a window of one request,
    // and what slips through it is caught by the manifest, which is small, conditional everywhere, and names the artifact's digest.
    if ((await findObject(bucket, name, signal)) !== null) {
      await abandon(bucket, name, UploadId)
      return 'exists'
    }
    const command = new CompleteMultipartUploadCommand({
      ...at,
      UploadId,
      MultipartUpload: { Parts: [...parts] },
      IfNoneMatch: '*',
    })
    // Putting the parts together can take the server its time.
    const outcome = await ask(bucket, name, signal, answerMs + 120_000, async (abortSignal) => {
      try {
        await bucket.client.send(command, { abortSignal })
        return 'created' as const
      } catch (error) {
        if (isTaken(error)) return 'exists' as const
        throw error
      }
    })
    if (outcome === 'exists') await abandon(bucket, name, UploadId)
    return outcome
  } catch (error) {
    await abandon(bucket, name, UploadId)
    throw error
  }
}

async function sendParts(
  bucket: Bucket,
  name: string,
  UploadId: string,
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
  signal: AbortSignal,
): Promise<readonly { ETag: string; PartNumber: number }[]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const sent: Promise<{ ETag: string; PartNumber: number }>[] = []
  const send = (bytes: Uint8Array) => {
    const part = sendPart(bucket, name, { UploadId, PartNumber: sent.length + 1 }, bytes, either)
    part.catch(() => undefined)
    sent.push(part)
  }
  try {
    for (const bytes of head) send(bytes)
    for (let next = await rest.next(); !next.done; next = await rest.next()) {
      await sent[sent.length - PARTS_AT_ONCE]
      send(next.value)
    }
    return await Promise.all(sent)
  } catch (error) {
    // The others must be over before the upload is abandoned: a part that arrives afterwards would stay for ever.
    failed.abort()
    await Promise.allSettled(sent)
    throw error
  }
}

async function sendPart(
  bucket: Bucket,
  name: string,
  part: { readonly UploadId: string; readonly PartNumber: number },
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<{ ETag: string; PartNumber: number }> {
  const command = new UploadPartCommand({
    Bucket: bucket.name,
    Key: bucket.keyOf(name),
    ...part,
    Body: bytes,
    ContentLength: bytes.byteLength,
    ContentMD5: md5(bytes),
  })
  const { ETag } = await ask(bucket, name, signal, limitMs(bucket, bytes.byteLength), (abortSignal) =>
    bucket.client.send(command, { abortSignal }),
  )
  if (ETag === undefined) throw new FleetError('STORE_BAD_ANSWER', `${bucket.what(name)}: a part got no ETag`)
  return { ETag, PartNumber: part.PartNumber }
}

/** Tells the server to forget the parts. Best effort, and not under the caller's signal, which may be what ended the upload. */
async function abandon(bucket: Bucket, name: string, UploadId: string): Promise<void> {
  const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: bucket.keyOf(name), UploadId })
  await ask(bucket, name, new AbortController().signal, 10_000, (abortSignal) =>
    bucket.client.send(command, { abortSignal }),
  ).catch(() => undefined)
}

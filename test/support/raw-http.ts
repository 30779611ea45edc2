// Owns plain HTTP to a Consul in tests: what was really answered, without any client between.

export interface RawAnswer {
  readonly status: number
  readonly text: string
  /** X-Consul-Index; null when there is none. */
  readonly index: number | null
  readonly headers: Headers
}

/** One request; never throws for a status. @param body a string, bytes, or an object that is sent as JSON */
export async function raw(
  url: string,
  method: string,
  path: string,
  body?: string | Uint8Array | object,
): Promise<RawAnswer> {
  const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array
  const answer = await fetch(url + path, {
    method,
    redirect: 'manual',
    body: plain ? ((body as string | Uint8Array<ArrayBuffer> | undefined) ?? null) : JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  })
  const index = answer.headers.get('x-consul-index')
  return {
    status: answer.status,
    text: (await answer.text()).trim(),
    index: index === null ? null : Number(index),
    headers: answer.headers,
  }
}

/** An entry as Consul answers it. */
export interface RawEntry {
  readonly LockIndex: number
  readonly Key: string
  readonly Flags: number
  readonly Value: string | null
  readonly Session?: string
  readonly CreateIndex: number
  readonly ModifyIndex: number
}

/** One Consul, spoken to in the raw. */
export function rawConsul(url: string) {
  return {
    url,
    get: (path: string) => raw(url, 'GET', `/v1/kv/${path}`),
    put: (path: string, value: string | Uint8Array = '') => raw(url, 'PUT', `/v1/kv/${path}`, value),
    delete: (path: string) => raw(url, 'DELETE', `/v1/kv/${path}`),
    txn: (...operations: readonly object[]) =>
      raw(
        url,
        'PUT',
        '/v1/txn',
        operations.map((KV) => ({ KV })),
      ),
    /** The entry, or null when there is none. */
    entry: async (key: string): Promise<RawEntry | null> => {
      const answer = await raw(url, 'GET', `/v1/kv/${key}`)
      return answer.status === 404 ? null : ((JSON.parse(answer.text) as RawEntry[])[0] ?? null)
    },
    /** A session without checks and without lock-delay, unless told; returns its id. */
    session: async (fields: object = {}): Promise<string> => {
      const body = { NodeChecks: [], LockDelay: '0s', ...fields }
      const answer = await raw(url, 'PUT', '/v1/session/create', body)
      return (JSON.parse(answer.text) as { ID: string }).ID
    },
    destroy: (id: string) => raw(url, 'PUT', `/v1/session/destroy/${id}`),
    renew: (id: string) => raw(url, 'PUT', `/v1/session/renew/${id}`),
  }
}

export type RawConsul = ReturnType<typeof rawConsul>

/** Texts as a transaction carries them. */
export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

// Owns what the S3 client's errors mean in our words.
import { FleetError } from '#fleet/errors.ts'

const MISSING = new Set(['NoSuchKey', 'NotFound'])
const DENIED = new Set([
  'AccessDenied',
  'AuthorizationHeaderMalformed',
  'CredentialsProviderError',
  'ExpiredToken',
  'ExpiredTokenException',
  'Forbidden',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
])

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}

/** HTTP status of an answer that was an error; 0 when there was none. */
function statusOf(error: unknown): number {
  const metadata = typeof error === 'object' && error !== null && '$metadata' in error ? error.$metadata : null
  const known = typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata
  return known && typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : 0
}

export function isMissing(error: unknown): boolean {
  return MISSING.has(nameOf(error)) || (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket')
}

/** A create that found the object there already. */
export function isTaken(error: unknown): boolean {
  return nameOf(error) === 'PreconditionFailed' || statusOf(error) === 412
}

/** The same error in our words. @param what what was asked for, and of whom */
export function s3Fault(error: unknown, what: string): FleetError {
  if (error instanceof FleetError) return error
  const name = nameOf(error)
  const status = statusOf(error)
  const said = `${what}: ${name}${status === 0 ? '' : `, HTTP ${status}`}`
  const as = (code: ConstructorParameters<typeof FleetError>[0], detail = said) =>
    new FleetError(code, detail, { cause: error })
  if (isMissing(error)) return as('STORE_MISSING', `${what} is not in the store`)
  if (name === 'NoSuchBucket') return as('STORE_MISSING', `${what}: the store has no such bucket`)
  if (name === 'RequestTimeTooSkewed') return as('STORE_CLOCK_SKEW', `${said}: the clock here is more than 15 min off`)
  if (name === 'CredentialsProviderError') return as('STORE_DENIED', `${what}: no credentials were found`)
  if (DENIED.has(name) || status === 401 || status === 403) return as('STORE_DENIED')
  if (isTaken(error)) return as('STORE_CHANGED', `${what} is no longer the object it was`)
  if (name === 'PermanentRedirect' || (status >= 300 && status < 400)) {
    return as('STORE_BAD_ANSWER', `${said}: a redirect, which is never followed; check endpoint and region`)
  }
  if (status >= 400 && status < 500 && status !== 429 && status !== 408 && status !== 409) return as('STORE_BAD_ANSWER')
  return as('STORE_UNREACHABLE')
}

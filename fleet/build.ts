// Owns the names that cross Consul and S3: build ids, digests, and the grammar of app, ring and node names.

declare const brand: unique symbol
type Brand<name extends string> = { readonly [brand]: name }

/** Id of a published, immutable build: `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`, without `..`. */
export type BuildId = string & Brand<'BuildId'>
/** `sha256:` and 64 lower-case hexadecimal digits. */
export type Digest = string & Brand<'Digest'>
/** Name of an app, a ring or a node: `^[a-z0-9][a-z0-9.-]{0,62}$`. */
export type Name = string & Brand<'Name'>

export const BUILD_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
export const NAME = /^[a-z0-9][a-z0-9.-]{0,62}$/
export const DIGEST = /^sha256:[0-9a-f]{64}$/

export function isBuildId(text: string): text is BuildId {
  return BUILD_ID.test(text) && !text.includes('..')
}

export function isName(text: string): text is Name {
  return NAME.test(text)
}

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text)
}

/** A fresh build id: UTC time to the second and the first seven characters of the commit, as `20261122T160412-3f2a9c1`. */
export function buildIdFor(at: Date, suffix: string): string {
  const stamp = at
    .toISOString()
    .replace(/[-:]/g, '')
    .replace(/\.\d+Z$/, '')
  return `${stamp}-${suffix}`
}

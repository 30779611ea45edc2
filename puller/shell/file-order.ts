// Owns what a writer is told of the files it is to make, and what it tells of those that came out wrong.

/** A file of the build. */
export interface FileOrder {
  /** Index in the manifest. */
  readonly entry: number
  readonly path: string
  readonly size: number
  readonly mode: number
  /** Whole seconds since 1970. */
  readonly mtime: number
  /** SHA-256 in hexadecimal. */
  readonly content: string
  /** Something lies at its path already. */
  readonly replaces: boolean
  /** Parts that are read from files of this node, in order; the parts in frames are exactly the others. Only needed with the first part of a file. */
  readonly kept?: readonly KeptPart[]
}

/** Bytes that another file has already. */
export interface KeptPart {
  readonly at: number
  readonly bytes: number
  /** The directory of the tree that the file is in. */
  readonly tree: string
  readonly path: string
  readonly fromAt: number
}

/** A part of a file inside the raw bytes of a frame. */
export interface FilePiece {
  readonly file: FileOrder
  readonly offset: number
  readonly bytes: number
  readonly at: number
}

/** A file whose bytes were not those of the build; nothing of it is left. */
export interface WrongFile {
  readonly entry: number
  readonly got: string
}

// What a peer may ask a reader to hold or to do; request-reader.ts and response-reader.ts take one table each.

export interface Http1Limits {
  /** Start line and fields with their line ends, in bytes. Beyond it 431 (414 while still in the start line). */
  readonly maxHeadBytes: number
  /** Fields of a head. Beyond it 431. */
  readonly maxFields: number
  /** The request target. Beyond it 414. */
  readonly maxTargetBytes: number
  /** A line with the size of a chunk and its extensions, without the line end. */
  readonly maxChunkLineBytes: number
  /** Extensions of all chunks of a body together: they are dropped, so nobody needs many. */
  readonly maxChunkExtensionBytes: number
  readonly maxTrailerBytes: number
  readonly maxTrailers: number
  /** 1xx answers before the final one. */
  readonly maxInformational: number
}

/**
 * 16 KiB of head are what Node accepts, 100 fields what Envoy does. A head that is not complete yet is looked at again with
 * each read, so larger limits cost processor time under attack, too.
 */
export const defaultHttp1Limits: Http1Limits = {
  maxHeadBytes: 16_384,
  maxFields: 100,
  maxTargetBytes: 8_192,
  maxChunkLineBytes: 256,
  maxChunkExtensionBytes: 4_096,
  maxTrailerBytes: 8_192,
  maxTrailers: 32,
  maxInformational: 16,
}

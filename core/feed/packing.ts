// Large messages of the feed travel as zstd in a binary frame: a full state shrinks to a tenth, and the control plane encrypts it
// once per host. Only towards agents that name `packedFeature` among the features of their hello; everything else is text.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { asMeshError } from '../base/errors.ts'

/** Named in the hello of an agent that takes packed messages. */
export const packedFeature = 'packed'

/** Below this a message is not worth packing. */
export const packFromBytes = 16 * 1024

export function pack(text: Uint8Array): Buffer {
  return zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })
}

/** Throws FEED_PROTOCOL for what is not packed, or is larger than `limitBytes` unpacked. */
export function unpack(packed: Uint8Array, limitBytes: number): string {
  try {
    return zstdDecompressSync(packed, { maxOutputLength: limitBytes }).toString()
  } catch (error: unknown) {
    throw asMeshError(error, 'FEED_PROTOCOL')
  }
}

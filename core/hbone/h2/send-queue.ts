// Chunks that wait to be sent, moved into DATA frames. A function and not a class: an idle stream pays for no object of it. Called by
// stream.ts and message-stream.ts.
import { keptBytes } from '../../net/read-buffers.ts'
import type { FrameWriter } from './frame-writer.ts'

/**
 * Moves `bytes` from the front of `queue`, of whose first chunk `sent` bytes are gone, into the frame that `writer` has begun.
 * @param spends whether chunks were handed over with their buffers (net/read-buffers.ts), which the writer then gives back
 * @returns how much of the chunk that is first now is gone
 */
export function moveToFrame(
  writer: FrameWriter,
  queue: Buffer[],
  sent: number,
  bytes: number,
  spends: boolean,
): number {
  let rest = bytes
  let done = 0
  let gone = sent
  while (rest > 0) {
    const chunk = queue[done]!
    const available = chunk.length - gone
    const part = Math.min(rest, available)
    writer.payload(part === chunk.length ? chunk : chunk.subarray(gone, gone + part))
    rest -= part
    if (part === available) {
      if (spends && chunk.length >= keptBytes) writer.spend(chunk)
      done += 1
      gone = 0
    } else gone += part
  }
  if (done === queue.length) queue.length = 0
  else if (done > 0) queue.splice(0, done)
  return gone
}

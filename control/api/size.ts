// How large and how deeply nested an object may be. write-requests.ts asks before anything walks what a client sent or a patch
// made; resources.ts asks for what it is about to store, with the bookkeeping of the server.
import { ApiError } from './errors.ts'

/** What etcd takes (1.5 MiB) less what comes on top of the object in a request; the same for every store. */
export const maxObjectBytes = 1_500_000

/** As for bodies; a patch can nest deeper than its text. */
const maxObjectDepth = 200

/** Throws RequestEntityTooLarge, as Kubernetes does where etcd refuses an object. */
export function checkSize(object: unknown): void {
  const bytes = Buffer.byteLength(JSON.stringify(object) ?? '')
  if (bytes <= maxObjectBytes) return
  const message = `Request entity too large: the object has ${bytes} bytes of JSON, the limit is ${maxObjectBytes}`
  throw new ApiError('RequestEntityTooLarge', message)
}

/** Throws BadRequest. Walks without recursion: what it looks for would overflow the stack. */
export function checkDepth(value: unknown): void {
  let level: readonly unknown[] = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > maxObjectDepth)
      throw new ApiError('BadRequest', `the object is nested more than ${maxObjectDepth} levels deep`)
    const below: unknown[] = []
    for (const holder of level) {
      if (typeof holder !== 'object' || holder === null) continue
      for (const entry of Object.values(holder)) if (typeof entry === 'object' && entry !== null) below.push(entry)
    }
    level = below
  }
}

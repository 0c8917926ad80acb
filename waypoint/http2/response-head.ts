// A header list to the head of an answer (RFC 9113 8.3.2), and the other way round. Called by upstream/http2-stream.ts and server-stream.ts.
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { Headers, type ResponseHead } from '../http/message.ts'
import { parseLength } from '../http1/framing.ts'
import { addFields, fieldKind, isValue, kindOf } from './fields.ts'

export interface Http2Answer {
  readonly head: ResponseHead
  readonly contentLength: number | undefined
}

/** Why it is malformed, or the answer. */
export function readResponse(fields: readonly HeaderField[], tooLarge: boolean): Http2Answer | string {
  if (tooLarge) return 'a head that is too large'
  const flat: string[] = []
  let status: number | undefined
  let contentLength: number | undefined
  for (const [name, value] of fields) {
    if (!isValue(value)) return 'a value with forbidden characters'
    if (name.charCodeAt(0) === 0x3a) {
      if (name !== ':status' || status !== undefined || flat.length > 0)
        return `${JSON.stringify(name)} in the wrong place`
      if (!/^[1-5][0-9][0-9]$/.test(value)) return 'a :status that is none'
      status = Number(value)
      continue
    }
    const kind = kindOf(name)
    if (kind >= fieldKind.connection || (kind === fieldKind.te && value !== 'trailers'))
      return `${JSON.stringify(name)} does not belong here`
    if (kind === fieldKind.contentLength) {
      if (contentLength !== undefined) return 'two content-length fields'
      contentLength = parseLength(value)
      if (contentLength === undefined) return 'content-length is no plain number'
    }
    flat.push(name, value)
  }
  if (status === undefined) return 'no :status'
  // RFC 9113 8.6: there is nothing to switch to.
  if (status === 101) return 'status 101'
  return { head: { status, headers: Headers.scanned(flat) }, contentLength }
}

const statuses: readonly string[] = Array.from({ length: 600 }, (_, status) => String(status))

/** What goes out. `length`: see `addFields`. Undefined for a status that no answer can have. */
export function responseFields(head: ResponseHead, length: number | undefined): readonly string[] | undefined {
  const { status } = head
  const text = status >= 100 && status !== 101 ? statuses[status] : undefined
  return text === undefined ? undefined : addFields([':status', text], head.headers, length)
}

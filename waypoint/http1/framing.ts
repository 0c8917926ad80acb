// How the end of a body is known (RFC 9112 6). Made by the readers, taken by the writer: one body, one framing, both ways.

export type Framing =
  /** No body. `declared`: the length that an answer to HEAD or a 304 tells of the body that it does not have. */
  | { readonly kind: 'none'; readonly declared?: number }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  /** Until the connection ends: responses only. */
  | { readonly kind: 'close' }
  /** No HTTP any more: after 101, or 2xx to CONNECT. */
  | { readonly kind: 'tunnel' }

export const noBody: Framing = { kind: 'none' }
export const chunkedBody: Framing = { kind: 'chunked' }
export const untilClose: Framing = { kind: 'close' }
export const tunnelled: Framing = { kind: 'tunnel' }

/** Digits only, below 10^15 (so that a number holds it); undefined otherwise: no sign, no list, no `0x`. */
export function parseLength(value: string): number | undefined {
  if (value.length === 0 || value.length > 15) return undefined
  let length = 0
  for (let at = 0; at < value.length; at += 1) {
    const digit = value.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return undefined
    length = length * 10 + digit
  }
  return length
}

/** True where the comma-separated `list` has `token`, which is in lower case. */
export function hasToken(list: string, token: string): boolean {
  if (list.length < token.length) return false
  const lower = list.toLowerCase()
  if (lower === token) return true
  return lower.includes(',') && lower.split(',').some((item) => item.trim() === token)
}

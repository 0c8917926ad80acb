// What is wrong with a message, as the answer that its sender gets. Thrown inside the codecs, handed to their owners by
// `onError`; the owner answers with `status` (for an upstream: answers its client with 502) and closes the connection.

/** Statuses that a codec or the proxy itself answers with. 502: the upstream's message was wrong. 500: ours would be. */
export type HttpErrorStatus = 400 | 405 | 408 | 413 | 414 | 417 | 426 | 431 | 500 | 501 | 502 | 505

/** What went wrong; stable, for counters and logs. Every input of the hazards table ends in one of these. */
export type HttpErrorCode =
  | 'method'
  | 'target'
  | 'version'
  | 'status-line'
  | 'line-end'
  | 'field-name'
  | 'field-value'
  | 'field-repeated'
  | 'field-ambiguous'
  | 'too-many-fields'
  | 'head-too-large'
  | 'target-too-long'
  | 'host'
  | 'content-length'
  | 'transfer-encoding'
  | 'framing'
  | 'chunk'
  | 'trailer'
  | 'expect'
  | 'connect'
  | 'upgrade'
  | 'informational'
  | 'truncated'
  | 'unexpected-bytes'
  | 'body-length'
  | 'unsendable'
  | 'timeout'
  /** HTTP/2: its stream was reset, not answered. */
  | 'malformed'

/** Decide on `status` and `code`, never on `message`. */
export class HttpError extends Error {
  readonly status: HttpErrorStatus
  readonly code: HttpErrorCode
  constructor(status: HttpErrorStatus, code: HttpErrorCode, message: string) {
    super(message)
    this.name = 'HttpError'
    this.status = status
    this.code = code
  }
}

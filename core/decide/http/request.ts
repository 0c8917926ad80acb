// A request as layer-7 decisions see it. The waypoint makes one of what it parsed, `explain` and `analyze` of what somebody asks.

export interface RoutedRequest {
  /** As sent; compared in upper and lower case. */
  readonly method: string
  readonly scheme: 'http' | 'https'
  /** Host header or `:authority`, as sent, with its port. */
  readonly authority: string
  /** Normalised by path.ts, without query. */
  readonly path: string
  /** Without `?`; undefined where the target has none. */
  readonly query: string | undefined
  /** Of the frontend: the port that the client connected to. */
  readonly port: number
  /** From the verified identity of the caller; empty for a caller without one. */
  readonly sourceNamespace: string
  /** Of the calling workload, where it is known. */
  readonly sourceLabels?: Readonly<Record<string, string>>
  /** @param name in lower case. The values of repeated fields joined by "," (RFC 9110 section 5.2); undefined where absent */
  header(name: string): string | undefined
  /** Values of a claim of the verified token; undefined where there is none. */
  claim?(path: readonly string[]): readonly string[] | undefined
}

/**
 * The first value of a query parameter, percent-decoded; undefined where it is absent. Names are compared decoded, in upper and
 * lower case as written; a value that is not valid percent-encoding stays as it is.
 */
export function queryValue(query: string | undefined, name: string): string | undefined {
  if (query === undefined) return undefined
  for (let from = 0; from <= query.length; ) {
    const end = query.indexOf('&', from)
    const to = end < 0 ? query.length : end
    const equals = query.indexOf('=', from)
    const key = equals < 0 || equals > to ? to : equals
    if (sameName(query, from, key, name)) return key === to ? '' : decoded(query.slice(key + 1, to))
    from = to + 1
  }
  return undefined
}

function sameName(query: string, from: number, to: number, name: string): boolean {
  if (to - from === name.length && query.startsWith(name, from)) return true
  // shorter than the name: cannot become it by decoding
  if (to - from <= name.length) return false
  const text = query.slice(from, to)
  return text.includes('%') && decoded(text) === name
}

function decoded(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

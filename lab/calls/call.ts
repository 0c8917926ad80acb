// One HTTP, gRPC or WebSocket call and all that came back for it, as plain data: what a batch is made of. main.ts runs batches inside
// a workload; the conformance harness and the netns tests write them and compare what comes back.

export type CallProtocol = 'http/1.1' | 'h2c' | 'grpc' | 'websocket'

export interface Call {
  /** `http://host:port/path`, for every protocol. For gRPC the path is `/service/method`. */
  readonly url: string
  readonly protocol?: CallProtocol
  readonly method?: string
  /** `host` replaces the host of the URL in the message, not where it is sent. */
  readonly headers?: Readonly<Record<string, string>>
  /** For a WebSocket the message to send; for gRPC the text of an EchoMessage. */
  readonly body?: string
  /** gRPC: how many messages are sent; 1 if absent. */
  readonly messages?: number
  readonly timeoutMs?: number
  /** This many times over kept connections: the answer then counts, see Counted. */
  readonly repeat?: number
  /** Of a repeated call; 10 if absent. */
  readonly concurrency?: number
}

export type Fields = readonly (readonly [name: string, value: string])[]

export interface Answered {
  readonly kind: 'answered'
  readonly status: number
  /** Names in lower case, in the order of the wire. */
  readonly headers: Fields
  readonly trailers: Fields
  /** At most 64 KiB of it. */
  readonly body: string
  readonly bodyBytes: number
  /** Statuses of interim answers, without 100. */
  readonly interim: readonly number[]
  /** gRPC: from the trailers, or from the headers where there are none. */
  readonly grpcStatus?: number
  readonly grpcMessage?: string
  /** gRPC: fields of the messages that came, see protobuf.ts of the echo workload; bytes as text. */
  readonly messages?: readonly (readonly (readonly [number: number, value: string | number])[])[]
  readonly headMs: number
  readonly totalMs: number
}

export interface Counted {
  readonly kind: 'counted'
  /** By `pod` of the answer where it is a success, otherwise by `status 503`, `grpc 14` or the code of the error. */
  readonly counts: Readonly<Record<string, number>>
  readonly totalMs: number
}

export interface Failed {
  readonly kind: 'failed'
  /** `ECONNRESET`, `TIMEOUT`, … */
  readonly code: string
  readonly message: string
  readonly totalMs: number
}

export type CallResult = Answered | Counted | Failed

export const keptBytes = 64 * 1024
export const defaultTimeoutMs = 10_000

/** What a single answer counts as. */
export function countedAs(result: Answered | Failed): string {
  if (result.kind === 'failed') return result.code
  if (result.grpcStatus !== undefined && result.grpcStatus !== 0) return `grpc ${result.grpcStatus}`
  if (result.status < 200 || result.status > 299) return `status ${result.status}`
  return podOf(result) ?? 'answered'
}

/** Which instance of the echo workload answered; undefined where the answer is not from one. */
export function podOf({ body, messages }: Pick<Answered, 'body' | 'messages'>): string | undefined {
  const [first] = messages ?? []
  if (first !== undefined) return first.find(([number]) => number === 2)?.[1].toString()
  return /"pod":\s*"([^"]*)"/.exec(body)?.[1]
}

/** Raw headers of Node (name, value, name, value …) as fields. */
export function fieldsOf(raw: readonly string[]): Fields {
  return Array.from({ length: raw.length >> 1 }, (_, index) => [raw[2 * index]!.toLowerCase(), raw[2 * index + 1]!])
}

/** Values of all fields of a name, joined by ","; undefined where there is none. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  const lower = name.toLowerCase()
  const values = fields.filter(([each]) => each === lower).map(([, value]) => value)
  return values.length === 0 ? undefined : values.join(',')
}

export function failedBy(error: unknown, sinceMs: number): Failed {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  const text = typeof message === 'string' ? message : String(error)
  const totalMs = performance.now() - sinceMs
  return { kind: 'failed', code: typeof code === 'string' ? code : text, message: text, totalMs }
}

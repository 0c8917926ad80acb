// Calls over HTTP/2 with prior knowledge, gRPC among them; sessions are kept by origin. Used by run.ts.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'
import { Deframer, frame, readMessage, text } from '../echo/protobuf.ts'
import { type Answered, type Call, defaultTimeoutMs, type Failed, type Fields, failedBy, keptBytes } from './call.ts'

const mostMessageBytes = 16 * 1024 * 1024

export class Sessions {
  readonly #open = new Map<string, ClientHttp2Session>()

  of(url: string): ClientHttp2Session {
    const { origin } = new URL(url)
    const kept = this.#open.get(origin)
    if (kept !== undefined && !kept.closed && !kept.destroyed) return kept
    const session = connect(origin)
    session.on('error', () => {}) // its streams tell
    this.#open.set(origin, session)
    return session
  }

  close(): void {
    for (const session of this.#open.values()) session.destroy()
  }
}

export function callHttp2(call: Call, sessions: Sessions): Promise<Answered | Failed> {
  const begin = performance.now()
  const stream = sessions.of(call.url).request(headersOf(call))
  const { promise, resolve } = Promise.withResolvers<Answered | Failed>()
  const ms = call.timeoutMs ?? defaultTimeoutMs
  const timer = setTimeout(() => {
    resolve(failedBy({ code: 'TIMEOUT', message: `no answer in ${ms} ms` }, begin))
    stream.close()
  }, ms)
  stream.once('error', (error) => resolve(failedBy(error, begin)))
  collect(call, stream, begin).then(resolve, (error: unknown) => resolve(failedBy(error, begin)))
  let responded = false
  stream.once('response', () => {
    responded = true
  })
  stream.once('close', () => {
    clearTimeout(timer)
    // with a head it is collect() that knows how the body ended
    if (!responded)
      resolve(failedBy({ code: 'CLOSED', message: `closed without an answer (${stream.rstCode})` }, begin))
  })
  if (call.protocol === 'grpc') sendMessages(call, stream)
  else stream.end(call.body)
  return promise
}

function headersOf(call: Call): Record<string, string> {
  const { pathname, search, host } = new URL(call.url)
  const headers = Object.fromEntries(
    Object.entries(call.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const { host: authority = host, ...others } = headers
  const grpc = call.protocol === 'grpc'
  return {
    ':method': call.method ?? (grpc || call.body !== undefined ? 'POST' : 'GET'),
    ':path': `${pathname}${search}`,
    ':authority': authority,
    ':scheme': 'http',
    ...(grpc ? { 'content-type': 'application/grpc', te: 'trailers' } : {}),
    ...others,
  }
}

function sendMessages({ messages = 1, body = '' }: Call, stream: ClientHttp2Stream): void {
  for (let sent = 0; sent < messages; sent++) stream.write(frame(text(1, body)))
  stream.end()
}

async function collect(call: Call, stream: ClientHttp2Stream, begin: number): Promise<Answered> {
  const interim: number[] = []
  stream.on('headers', (headers) => interim.push(Number(headers[':status'])))
  let trailers: Fields = []
  stream.on('trailers', (headers: IncomingHttpHeaders) => {
    trailers = pairsOf(headers)
  })
  const head = await new Promise<IncomingHttpHeaders>((resolve) => {
    stream.once('response', resolve)
  })
  const headMs = performance.now() - begin
  const chunks: Buffer[] = []
  let bodyBytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (bodyBytes < keptBytes || call.protocol === 'grpc') chunks.push(chunk)
    bodyBytes += chunk.length
  }
  if (stream.rstCode !== 0) throw Object.assign(new Error('the stream was reset'), { code: `RST_${stream.rstCode}` })
  const headers = pairsOf(head).filter(([name]) => !name.startsWith(':'))
  const status = Number(head[':status'])
  const totalMs = performance.now() - begin
  const body = Buffer.concat(chunks)
  const common = { kind: 'answered', status, headers, trailers, bodyBytes, interim, headMs, totalMs } as const
  if (call.protocol !== 'grpc') return { ...common, body: body.toString('utf8').slice(0, keptBytes) }
  return { ...common, body: '', ...grpcFacts(headers, trailers, body) }
}

function pairsOf(headers: IncomingHttpHeaders): Fields {
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).map((each) => [name, String(each)] as const),
  )
}

function grpcFacts(headers: Fields, trailers: Fields, body: Buffer): Partial<Answered> {
  const find = (name: string): string | undefined => [...trailers, ...headers].find(([each]) => each === name)?.[1]
  const [status, message] = [find('grpc-status'), find('grpc-message')]
  const grpc = find('content-type')?.startsWith('application/grpc') ?? false
  const messages = new Deframer(mostMessageBytes)
    .push(grpc ? body : Buffer.alloc(0))
    .map((each) => readMessage(each).map(({ number, value }) => [number, textOf(value)] as const))
  return {
    messages,
    ...(status === undefined ? {} : { grpcStatus: Number(status) }),
    ...(message === undefined ? {} : { grpcMessage: decodeURIComponent(message) }),
  }
}

function textOf(value: Buffer | number): string | number {
  return typeof value === 'number' ? value : value.toString('latin1')
}

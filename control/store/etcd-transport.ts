// One HTTP exchange with one etcd member through its JSON gateway (etcd.io/docs/v3.4/dev-guide/api_grpc_gateway): a call, or the
// stream of a watch. Knows nothing of retries; etcd-client.ts decides what a fault means.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

export interface EtcdTls {
  /** PEM. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface EtcdRequest {
  readonly endpoint: URL
  /** `/v3/kv/range`. */
  readonly path: string
  readonly body: object
  readonly token?: string
  readonly signal: AbortSignal
}

/** Why an exchange failed. `grpcCode` is absent where no etcd answered. */
export class EtcdFault extends Error {
  readonly grpcCode: number | undefined
  /** Whether etcd may have seen the request. */
  readonly sent: boolean
  constructor(message: string, { grpcCode, sent, cause }: { grpcCode?: number; sent: boolean; cause?: unknown }) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'EtcdFault'
    this.grpcCode = grpcCode
    this.sent = sent
  }
}

/** An answer that is longer is no answer of etcd: its requests are limited to 1.5 MiB, pages to 500 objects. */
const maxAnswerBytes = 1024 * 1024 * 1024
/** One watch response: an object before and after, in base64, and what etcd puts together. */
const maxLineBytes = 256 * 1024 * 1024
const keepAliveMs = 5000
const socketsPerEndpoint = 64

interface Agents {
  readonly 'http:': HttpAgent
  readonly 'https:': HttpsAgent
}

export class EtcdTransport {
  readonly #calls: Agents
  readonly #streams: Agents

  constructor(tls: EtcdTls = {}) {
    const limits = { keepAlive: true, keepAliveMsecs: keepAliveMs, maxSockets: socketsPerEndpoint }
    const endless = { keepAlive: false }
    this.#calls = { 'http:': new HttpAgent(limits), 'https:': new HttpsAgent({ ...limits, ...tls }) }
    this.#streams = { 'http:': new HttpAgent(endless), 'https:': new HttpsAgent({ ...endless, ...tls }) }
  }

  /** The answer. Throws EtcdFault. */
  async call(request: EtcdRequest): Promise<unknown> {
    const response = await this.#exchange(request, this.#calls)
    return answerOf(response, await textOf(response, request))
  }

  /** The answers of a stream, one JSON document per line; ends where the member ends it. Throws EtcdFault. */
  async *stream(request: EtcdRequest): AsyncGenerator<unknown> {
    const response = await this.#exchange(request, this.#streams)
    try {
      if (response.statusCode !== 200) answerOf(response, await textOf(response, request))
      response.socket.setKeepAlive(true, keepAliveMs)
      for await (const line of linesOf(response)) yield JSON.parse(line) as unknown
    } catch (error: unknown) {
      throw faultOf(error, request, true)
    } finally {
      response.destroy()
    }
  }

  close(): void {
    for (const agents of [this.#calls, this.#streams]) for (const agent of Object.values(agents)) agent.destroy()
  }

  #exchange({ endpoint, path, body, token, signal }: EtcdRequest, agents: Agents): Promise<IncomingMessage> {
    const text = JSON.stringify(body)
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...(token === undefined ? {} : { authorization: token }),
    }
    const url = new URL(path, endpoint)
    const options = { method: 'POST', headers, signal }
    return new Promise((resolve, reject) => {
      const request =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...options, agent: agents['https:'] }, resolve)
          : httpRequest(url, { ...options, agent: agents['http:'] }, resolve)
      request.on('error', (error) => {
        const sent = request.socket !== null && !request.socket.connecting && request.socket.bytesWritten > 0
        reject(faultOf(error, { endpoint, path }, sent))
      })
      request.end(text)
    })
  }
}

async function textOf(response: IncomingMessage, request: EtcdRequest): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxAnswerBytes) throw new RangeError(`the answer is longer than ${maxAnswerBytes} bytes`)
      chunks.push(chunk)
    }
  } catch (error: unknown) {
    throw faultOf(error, request, true)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function answerOf(response: IncomingMessage, text: string): unknown {
  const answer = parsed(text)
  if (response.statusCode === 200 && answer !== undefined) return answer
  const { code, message, error } = (answer ?? {}) as { code?: unknown; message?: unknown; error?: unknown }
  if (typeof code === 'number') {
    throw new EtcdFault(String(message ?? error), { grpcCode: code, sent: true })
  }
  throw new EtcdFault(`HTTP ${response.statusCode}: ${text.slice(0, 200).trim()}`, { sent: true })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      parts.push(chunk.subarray(start, end))
      const line = Buffer.concat(parts).toString('utf8').trim()
      parts = []
      bytes = 0
      start = end + 1
      if (line !== '') yield line
    }
    parts.push(chunk.subarray(start))
    bytes += chunk.length - start
    if (bytes > maxLineBytes) throw new RangeError(`a line of a watch is longer than ${maxLineBytes} bytes`)
  }
}

function faultOf(error: unknown, { endpoint, path }: Pick<EtcdRequest, 'endpoint' | 'path'>, sent: boolean): EtcdFault {
  if (error instanceof EtcdFault) return error
  const { code, message } = error as { code?: unknown; message?: unknown }
  const timedOut = code === 'ABORT_ERR'
  const reason = timedOut ? 'no answer in time' : String(message || code || error)
  return new EtcdFault(`${endpoint.host}${path}: ${reason}`, { sent, cause: error })
}

// Calls over HTTP/1.1, and WebSockets over its upgrade. Used by run.ts.
import { type Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { WebSocket } from 'ws'
import { type Answered, type Call, defaultTimeoutMs, type Failed, failedBy, fieldsOf, keptBytes } from './call.ts'

export function callHttp1(call: Call, agent: Agent): Promise<Answered | Failed> {
  const begin = performance.now()
  const { promise, resolve } = Promise.withResolvers<Answered | Failed>()
  const outgoing = request(call.url, {
    agent,
    method: call.method ?? (call.body === undefined ? 'GET' : 'POST'),
    headers: { ...call.headers },
  })
  const interim: number[] = []
  const timer = limit(call, outgoing)
  outgoing.on('information', ({ statusCode }) => {
    if (statusCode !== 100) interim.push(statusCode)
  })
  outgoing.once('error', (error) => resolve(failedBy(error, begin)))
  outgoing.once('upgrade', (_response, socket) => {
    socket.destroy()
    resolve(failedBy({ code: 'UPGRADED', message: 'the answer is an upgrade that nobody asked for' }, begin))
  })
  outgoing.once('response', (response) => {
    const headMs = performance.now() - begin
    read(response).then(
      (body) => resolve({ ...answered(response), ...body, interim, headMs, totalMs: performance.now() - begin }),
      (error: unknown) => resolve(failedBy(error, begin)),
    )
  })
  outgoing.once('close', () => clearTimeout(timer))
  outgoing.end(call.body)
  return promise
}

function limit(call: Call, outgoing: ClientRequest): NodeJS.Timeout {
  const ms = call.timeoutMs ?? defaultTimeoutMs
  const late = Object.assign(new Error(`no answer in ${ms} ms`), { code: 'TIMEOUT' })
  return setTimeout(() => outgoing.destroy(late), ms)
}

function answered(response: IncomingMessage) {
  const { statusCode = 0, rawHeaders, rawTrailers } = response
  return {
    kind: 'answered',
    status: statusCode,
    headers: fieldsOf(rawHeaders),
    trailers: fieldsOf(rawTrailers),
  } as const
}

async function read(
  response: IncomingMessage,
): Promise<{ body: string; bodyBytes: number; trailers: Answered['trailers'] }> {
  const chunks: Buffer[] = []
  let bodyBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (bodyBytes < keptBytes) chunks.push(chunk)
    bodyBytes += chunk.length
  }
  const body = Buffer.concat(chunks).toString('utf8')
  return { body: body.slice(0, keptBytes), bodyBytes, trailers: fieldsOf(response.rawTrailers) }
}

/** Opens a WebSocket, sends the body as a message and waits for one. Status 101 where it was accepted. */
export function callWebSocket(call: Call): Promise<Answered | Failed> {
  const begin = performance.now()
  const { promise, resolve } = Promise.withResolvers<Answered | Failed>()
  const { host, ...headers } = Object.fromEntries(
    Object.entries(call.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const socket = new WebSocket(call.url.replace(/^http/, 'ws'), {
    headers: { ...headers, ...(host === undefined ? {} : { host }) },
    handshakeTimeout: call.timeoutMs ?? defaultTimeoutMs,
    perMessageDeflate: false,
  })
  let headers101: Answered['headers'] = []
  let headMs = 0
  socket.once('upgrade', (response) => {
    headers101 = fieldsOf(response.rawHeaders)
    headMs = performance.now() - begin
  })
  const end = (result: Answered | Failed): void => {
    resolve(result)
    socket.terminate()
  }
  socket.once('error', (error) => end(failedBy(error, begin)))
  socket.once('unexpected-response', (_request, response) => {
    read(response).then(
      (body) => end({ ...answered(response), ...body, interim: [], headMs, totalMs: performance.now() - begin }),
      (error: unknown) => end(failedBy(error, begin)),
    )
  })
  socket.once('open', () => socket.send(call.body ?? ''))
  socket.once('close', () => end(failedBy({ code: 'CLOSED', message: 'closed without a message' }, begin)))
  socket.once('message', (data) => {
    const bytes = data as Buffer
    const facts = { headers: headers101, trailers: [], interim: [], headMs, totalMs: performance.now() - begin }
    end({
      kind: 'answered',
      status: 101,
      ...facts,
      body: bytes.toString().slice(0, keptBytes),
      bodyBytes: bytes.length,
    })
  })
  return promise
}

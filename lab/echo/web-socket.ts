// WebSocket echo, over an HTTP/1.1 upgrade and over extended CONNECT (RFC 8441). Used by server.ts.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

const options = { maxPayload: 16 * 1024 * 1024, skipUTF8Validation: false, allowSynchronousEvents: true } as const
/** What may wait for a caller that does not read, before nothing more is read from it. */
const mostBufferedBytes = 1024 * 1024

export function webSocketUpgrade(): Upgrade {
  const server = new WebSocketServer({ noServer: true, ...options })
  return (request, socket, head) => server.handleUpgrade(request, socket, head, echoMessages)
}

/** An HTTP/2 stream that becomes a WebSocket. `ws` makes one of any duplex, but has no public way to say so. */
type ServerEnd = new (
  address: null,
  protocols: undefined,
  options: object,
) => WebSocket & { setSocket(socket: Duplex, head: Buffer, options: object): void }

export function extendedConnect(request: Http2ServerRequest, response: Http2ServerResponse): void {
  const { stream } = request
  if (request.headers[':protocol'] !== 'websocket') {
    response.writeHead(501)
    response.end()
    return
  }
  if (request.headers['sec-websocket-version'] !== '13') {
    response.writeHead(400, { 'sec-websocket-version': '13' })
    response.end()
    return
  }
  stream.respond({ ':status': 200 })
  const webSocket = new (WebSocket as unknown as ServerEnd)(null, undefined, { autoPong: true, closeTimeout: 30_000 })
  webSocket.setSocket(stream, Buffer.alloc(0), options)
  echoMessages(webSocket)
}

function echoMessages(webSocket: WebSocket): void {
  webSocket.on('error', () => webSocket.terminate())
  webSocket.on('message', (data, isBinary) => {
    webSocket.send(data, { binary: isBinary }, () => {
      if (webSocket.isPaused && webSocket.bufferedAmount < mostBufferedBytes) webSocket.resume()
    })
    if (webSocket.bufferedAmount >= mostBufferedBytes) webSocket.pause()
  })
}

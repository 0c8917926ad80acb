// Answers of the echo workload that are broken on purpose, as a bad backend would: written to the socket by hand where Node's own
// writer would not. Called by http.ts.
import type { IncomingMessage } from 'node:http'
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import type { EchoFault } from './controls.ts'

const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n'
const announced = 1_000
const half = Buffer.alloc(announced / 2, 'x')

/** What goes onto an HTTP/1.1 connection before it is ended. */
const written: Readonly<Partial<Record<EchoFault, string>>> = {
  truncate: `${head}content-length: ${announced}\r\n\r\n${half}`,
  'truncate-chunked': `${head}transfer-encoding: chunked\r\n\r\n${half.length.toString(16)}\r\n${half}\r\n`,
  garbage: 'this is no HTTP\r\n\r\n',
  'two-lengths': `${head}content-length: 2\r\ncontent-length: 3\r\n\r\nabc`,
  'length-and-chunked': `${head}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  'unasked-upgrade': 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
}

export function breakHttp1(fault: EchoFault, request: IncomingMessage): void {
  const socket = request.socket as Socket
  if (fault === 'reset' || fault === 'refused' || fault === 'goaway') socket.resetAndDestroy()
  else if (fault === 'close') socket.end()
  else if (fault === 'extra-bytes') {
    // the connection stays open: a proxy that keeps it for the next request takes the rest for that one's answer
    socket.write(`${head}content-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison`)
  } else socket.end(written[fault] ?? '')
}

export function breakHttp2(fault: EchoFault, request: Http2ServerRequest, response: Http2ServerResponse): void {
  const { stream } = request
  const { session } = stream
  if (fault === 'refused') stream.close(constants.NGHTTP2_REFUSED_STREAM)
  else if (fault === 'close') session?.destroy()
  else if (fault === 'goaway') {
    session?.goaway(constants.NGHTTP2_NO_ERROR, Math.max((stream.id ?? 1) - 2, 0))
    stream.close(constants.NGHTTP2_REFUSED_STREAM)
  } else if (fault === 'truncate' || fault === 'truncate-chunked') {
    response.writeHead(200, fault === 'truncate' ? { 'content-length': announced } : {})
    response.write(half, () => stream.close(constants.NGHTTP2_INTERNAL_ERROR))
  } else stream.close(constants.NGHTTP2_INTERNAL_ERROR)
}

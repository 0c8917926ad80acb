// One question to one nameserver, over UDP or TCP, and its verified answer. forwarder.ts decides whom to ask and how often.
import { randomInt } from 'node:crypto'
import type { Socket as UdpSocket } from 'node:dgram'
import { MeshError } from '../../core/base/errors.ts'
import { familyOf, formatSocketAddress, type SocketAddress } from '../../core/net/address.ts'
import { FrameReader, frame } from './frames.ts'
import type { DnsSockets } from './sockets.ts'
import { type DnsQuery, flagBits, headerBytes, readQuestion, sameQuestion } from './wire.ts'

export interface ExchangeOptions {
  readonly sockets: DnsSockets
  readonly server: SocketAddress
  readonly query: DnsQuery
  /** Ends the wait. */
  readonly signal: AbortSignal
}

/**
 * Asks over UDP. Every exchange has a random id and a socket of its own on a random port that takes datagrams of this
 * server only; what does not echo the question is ignored, so an answer cannot be guessed in (RFC 5452).
 * Resolves with the answer under the client's id. Rejects with CONNECT_FAILED or TUNNEL_TIMEOUT.
 */
export function exchangeUdp({ sockets, server, query, signal }: ExchangeOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const id = randomInt(65_536)
    const socket = openUdp(sockets, server)
    let settled = false
    const settle = () => {
      settled = true
      signal.removeEventListener('abort', onAbort)
      // A closed socket may still report an error of a datagram on its way.
      socket.removeAllListeners().on('error', () => {})
      socket.close()
    }
    const fail = (error: MeshError) => {
      if (settled) return
      settle()
      reject(error)
    }
    const onAbort = () => fail(unanswered(server))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', (error) => fail(unreachable(server, error)))
    socket.on('message', (message) => {
      if (!answers(message, id, query)) return
      settle()
      resolve(withId(message, query.id))
    })
    socket.once('connect', () => {
      socket.send(withId(query.bytes, id), (error) => {
        if (error !== null && error !== undefined) fail(unreachable(server, error))
      })
    })
    socket.connect(server.port, server.address)
  })
}

/** Asks over TCP, one connection per question. Results as `exchangeUdp`. */
export async function exchangeTcp({ sockets, server, query, signal }: ExchangeOptions): Promise<Buffer> {
  const id = randomInt(65_536)
  const socket = await sockets.connectTcp(server, signal)
  return await new Promise((resolve, reject) => {
    const reader = new FrameReader()
    const settle = () => {
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners().on('error', () => {})
      socket.destroy()
    }
    const fail = (error: MeshError) => {
      settle()
      reject(error)
    }
    const onAbort = () => fail(unanswered(server))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', (error) => fail(unreachable(server, error)))
    socket.on('close', () => fail(unreachable(server, new Error('the connection ended without an answer'))))
    socket.on('end', () => fail(unreachable(server, new Error('the connection ended without an answer'))))
    socket.on('data', (chunk: Buffer) => {
      const message = reader.push(chunk).find((candidate) => answers(candidate, id, query))
      if (message === undefined) return
      settle()
      resolve(withId(message, query.id))
    })
    socket.write(frame(withId(query.bytes, id)))
  })
}

function openUdp(sockets: DnsSockets, server: SocketAddress): UdpSocket {
  try {
    return sockets.forwardUdp(familyOf(server.address))
  } catch (error: unknown) {
    throw unreachable(server, error)
  }
}

/** An error without question section is believed too: some servers leave it out, and it can only make us ask the next one. */
function answers(message: Buffer, id: number, query: DnsQuery): boolean {
  if (message.length < headerBytes || message.readUInt16BE(0) !== id) return false
  const flags = message.readUInt16BE(2)
  if ((flags & flagBits.response) === 0 || (flags & flagBits.opcode) !== 0) return false
  if (message.readUInt16BE(4) === 0) return (flags & flagBits.rcode) !== 0
  return sameQuestion(query.question, readQuestion(message))
}

function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt16BE(id, 0)
  return copy
}

function unanswered(server: SocketAddress): MeshError {
  const where = formatSocketAddress(server)
  return new MeshError('TUNNEL_TIMEOUT', `nameserver ${where} did not answer: can the workload reach it?`)
}

function unreachable(server: SocketAddress, error: unknown): MeshError {
  if (error instanceof MeshError && error.code === 'CONNECT_FAILED') return error
  const text = error instanceof Error ? error.message : String(error)
  return new MeshError('CONNECT_FAILED', `nameserver ${formatSocketAddress(server)}: ${text}`, { cause: error })
}

// A WebSocket from inside a workload that sends many bytes and checks every one that comes back; for waypoint-streams.test.ts and
// the soak `web-socket`.
import { createHash } from 'node:crypto'
import { Agent } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'

export interface WebSocketRun {
  readonly bytes: number
  readonly sentSha256: string
  readonly receivedSha256: string
  readonly seconds: number
  readonly gbitPerSecond: number
}

const messageBytes = 256 * 1024
/** Sent and not yet back. */
const aheadBytes = 4 * 1024 * 1024

/** @param open makes the connection, in the caller's network namespace */
export async function echoThroughWebSocket(open: () => Socket, host: string, bytes: number): Promise<WebSocketRun> {
  const agent = new Agent()
  agent.createConnection = () => open()
  const socket = new WebSocket(`ws://${host}/ws`, { agent, perMessageDeflate: false })
  const [sentHash, receivedHash] = [createHash('sha256'), createHash('sha256')]
  let [sent, received] = [0, 0]
  const begin = performance.now()
  const pattern = Buffer.alloc(messageBytes)
  const send = (): void => {
    while (sent < bytes && sent - received < aheadBytes) {
      const size = Math.min(messageBytes, bytes - sent)
      const message = Buffer.from(pattern.fill((sent / messageBytes) & 0xff).subarray(0, size))
      sentHash.update(message)
      sent += size
      socket.send(message)
    }
  }
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', (code) => reject(new Error(`closed with ${code} after ${received} bytes`)))
    socket.once('open', send)
    socket.on('message', (data) => {
      receivedHash.update(data as Buffer)
      received += (data as Buffer).length
      if (received >= bytes) resolve()
      else send()
    })
  }).finally(() => socket.terminate())
  const seconds = (performance.now() - begin) / 1_000
  return {
    bytes,
    sentSha256: sentHash.digest('hex'),
    receivedSha256: receivedHash.digest('hex'),
    seconds: Math.round(seconds * 100) / 100,
    gbitPerSecond: Math.round((bytes * 8) / seconds / 1e7) / 100,
  }
}

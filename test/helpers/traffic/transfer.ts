// The calling side of transfers: both directions at once, and ends that come early. Started by main.ts inside a workload.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { patternHash, readToEnd, Tally, writePattern } from './pattern.ts'
import { trafficPorts } from './ports.ts'

export interface TransferPlan {
  readonly host: string
  /** In each direction. */
  readonly bytes: number
}

export interface TransferReport {
  /** Of what arrived there, as the server says, and of what was sent. */
  readonly up: { readonly arrived: string; readonly sent: string }
  /** Of what arrived here, and of what the server sends for this length. */
  readonly down: { readonly arrived: string; readonly sent: string }
  readonly bytesDown: number
  readonly durationMs: number
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

async function open(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

/** Sends and reads `bytes` at once on one connection. */
export async function runTransfer({ host, bytes }: TransferPlan): Promise<TransferReport> {
  const sent = { up: patternHash('client', bytes), down: patternHash('server', bytes) }
  const begin = performance.now()
  const socket = await open(host, trafficPorts.transfer)
  const down = new Tally()
  let answer = ''
  // The pattern, then the server's hash of what it got.
  socket.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, Math.max(0, bytes - down.bytes))
    down.add(part)
    answer += chunk.subarray(part.length).toString('latin1')
  })
  const ended = once(socket, 'end')
  socket.write(number(bytes))
  await writePattern(socket, 'client', bytes)
  socket.end()
  await ended
  return {
    up: { arrived: answer, sent: sent.up },
    down: { arrived: down.digest(), sent: sent.down },
    bytesDown: down.bytes,
    durationMs: Math.round(performance.now() - begin),
  }
}

export interface HalfCloseReport {
  /** The caller ends first and gets an answer of `bytes` afterwards. */
  readonly callerFirst: { readonly bytes: number; readonly arrived: string; readonly sent: string }
  /** The server ends first and gets `bytes` afterwards. */
  readonly serverFirst: {
    readonly said: string
    readonly bytes: number
    readonly arrived: string
    readonly sent: string
  }
}

export async function runHalfClose({ host, bytes }: TransferPlan): Promise<HalfCloseReport> {
  return { callerFirst: await callerFirst(host, bytes), serverFirst: await serverFirst(host, bytes) }
}

async function callerFirst(host: string, bytes: number): Promise<HalfCloseReport['callerFirst']> {
  const socket = await open(host, trafficPorts.afterEnd)
  socket.end(number(bytes))
  const tally = await readToEnd(socket)
  return { bytes: tally.bytes, arrived: tally.digest(), sent: patternHash('server', bytes) }
}

async function serverFirst(host: string, bytes: number): Promise<HalfCloseReport['serverFirst']> {
  const name = number(process.pid)
  const socket = await open(host, trafficPorts.beforeEnd)
  let said = ''
  // Not text(): that closes the socket when the server's side has ended.
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await once(socket, 'end')
  socket.write(name)
  await writePattern(socket, 'client', bytes)
  socket.end()
  await once(socket, 'close')
  const results = await open(host, trafficPorts.results)
  results.end(name)
  const heard = JSON.parse(await text(results)) as { readonly bytes: number; readonly hash: string }
  return { said, bytes: heard.bytes, arrived: heard.hash, sent: patternHash('client', bytes) }
}

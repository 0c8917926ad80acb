// Captures one interface into a pcap file until SIGTERM. Run by capture.ts inside the network namespace of the interface:
// `node lab/capture/main.ts INTERFACE FILE`. Says `{"capturing":true}` when it sees frames and the counts at the end.
import { closeSync, openSync, writeSync } from 'node:fs'
import { PacketSocket } from '../../core/net/sys-packet.ts'
import { frameHeader, pcapHeader } from './pcap.ts'

const [interfaceName = '', file = ''] = process.argv.slice(2)
const socket = new PacketSocket(interfaceName)
const output = openSync(file, 'w', 0o600)
writeSync(output, pcapHeader)

const flushBytes = 1024 * 1024
let pending: Buffer[] = []
let pendingBytes = 0

function flush(): void {
  if (pendingBytes === 0) return
  writeSync(output, Buffer.concat(pending))
  pending = []
  pendingBytes = 0
}

/** Takes everything that is waiting. */
function take(): void {
  const time = Date.now()
  for (let frame = socket.read(); frame !== undefined; frame = socket.read()) {
    pending.push(frameHeader(frame.length, time), Buffer.from(frame))
    pendingBytes += frame.length + 16
    if (pendingBytes >= flushBytes) flush()
  }
}

let stopping = false
process.once('SIGTERM', () => {
  stopping = true
})
process.once('SIGINT', () => {
  stopping = true
})

function turn(): void {
  if (socket.wait(20)) take()
  if (!stopping) {
    setImmediate(turn)
    return
  }
  take()
  flush()
  const counts = socket.counts()
  socket.close()
  closeSync(output)
  process.stdout.write(`${JSON.stringify(counts)}\n`)
}

process.stdout.write('{"capturing":true}\n')
turn()

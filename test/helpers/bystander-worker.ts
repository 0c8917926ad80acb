// A thread with an honest client of its own: one tunnel, small messages one after the other, how long each took. Its parent sends
// 'measure' and gets the times since the last one; 'stop' ends it with a sum of what came back.
import { once } from 'node:events'
import net from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { nullLogger } from '../../core/base/log.ts'
import { TunnelPool } from '../../core/hbone/pool.ts'
import { createCredentials } from '../../core/identity/tls.ts'
import type { FakeLeaf } from './fake-ca.ts'
import { clientIdentity, serverIdentity } from './tunnel.ts'

export interface ThreadData {
  readonly port: number
  readonly leaf: FakeLeaf
  readonly attack?: string
}

const { port, leaf } = workerData as ThreadData
const pauseMs = 2
const credentials = createCredentials(leaf)
const pool = new TunnelPool({
  dial: async () => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    await once(socket, 'connect')
    return socket
  },
  context: () => credentials,
  log: nullLogger(),
})
const key = {
  ...{ sourceUid: 'bystander', sourceAddress: '127.0.0.1', sourceIdentity: clientIdentity, destinationUid: 'echo' },
  expectedIdentities: [serverIdentity],
  destination: { address: '127.0.0.1', port },
}
const { stream } = await pool.connect(key, { authority: '10.0.0.1:1', headers: {} }, AbortSignal.timeout(20_000))

let times: number[] = []
let going = true
let wrong = 0
let lost: string | undefined
parentPort?.on('message', (word: string) => {
  if (word === 'stop') going = false
  else {
    parentPort?.postMessage(times)
    times = []
  }
})
stream.on('error', (error) => {
  lost = error.message
})

for (let count = 0; going && lost === undefined; count += 1) {
  const text = `message ${count}`.padEnd(64)
  const began = performance.now()
  stream.write(text)
  let got = ''
  while (got.length < text.length && lost === undefined) got += String((await once(stream, 'data'))[0])
  times.push(performance.now() - began)
  if (got !== text) wrong += 1
  await new Promise((resolve) => setTimeout(resolve, pauseMs))
}
parentPort?.postMessage({ wrong, lost })
stream.destroy()
await pool.close(0)
process.exit(0)

// A data plane in a process of its own, for tests that take its descriptors away: everything captured goes to an echo at the port
// that is given. Prints where it listens, and on each line of its input how it does.
import { once } from 'node:events'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { connectSocket } from '../../core/net/tcp.ts'
import { PlaneWorld, workload } from './plane-world.ts'

const port = Number(process.argv[2])
const world = await PlaneWorld.create()
const host = world.host()
const model = workload('a', '10.0.1.1')
world.apply([model])
world.sockets.originalDestination = () => ({ address: '192.0.2.7', port: 9000 })
world.sockets.connectTcp = async ({ signal }) =>
  await connectSocket(new net.Socket({ allowHalfOpen: true }), { address: '127.0.0.1', port }, signal)
await world.serve(host, model)
const tell = (): void => {
  const { user, system } = process.cpuUsage()
  const cpuMs = Math.round((user + system) / 1_000)
  process.stdout.write(`${JSON.stringify({ host: world.sockets.real('10.0.1.1'), cpuMs })}\n`)
}
tell()
const input = createInterface({ input: process.stdin })
input.on('line', tell)
await once(input, 'close')
process.exit()

// Echo and bulk application of a server's namespace: `node bench/origin/main.ts ADDRESS`. Says one line when it listens. Started by world.ts.
import { ports } from '../subjects.ts'
import { bulk, echo, listen } from './streams.ts'

const [address = '0.0.0.0'] = process.argv.slice(2)
await listen({ address, port: ports.echo }, echo)
await listen({ address, port: ports.bulk }, bulk)
process.stdout.write('{"ready":true}\n')

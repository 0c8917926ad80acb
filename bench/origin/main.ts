// Echo and bulk application of a server's namespace: `node bench/origin/main.ts`. Says one line when it listens. Started by world.ts.
import { ports } from '../subjects.ts'
import { bulk, echo, listen } from './streams.ts'

await listen(ports.echo, echo)
await listen(ports.bulk, bulk)
process.stdout.write('{"ready":true}\n')

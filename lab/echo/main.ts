// The echo workload as a process: started by the lab's supervisor inside the workload's namespace.
import { contextFrom } from './context.ts'
import { startEcho } from './server.ts'

const server = await startEcho(contextFrom(process.env))
process.stdout.write(`${JSON.stringify({ message: 'echo is ready', ...server.ports })}\n`)
process.once('SIGTERM', () => {
  server.close().finally(() => process.exit(0))
})

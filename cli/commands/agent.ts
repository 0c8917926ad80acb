// `culvert agent`: runs the control side of a host.
import { version } from '../version.ts'
import { meshProcess } from './process.ts'

export const agentProcess = meshProcess({
  name: 'agent',
  describe: 'Run the agent of this host',
  examples: [
    ['--host h1 --control mesh.example.com:15012 --token-file /etc/culvert/token', 'join and run'],
    ['--host h1 --control mesh.example.com:15012', 'run on a host that has joined'],
  ],
  rows: async () => (await import('../../agent/config.ts')).agentRows,
  build: async (config, deps) => (await import('../../agent/app.ts')).build(config, deps),
  version,
})

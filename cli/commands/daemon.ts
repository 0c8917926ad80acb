// `culvert daemon`: runs the layer-4 proxy of a host.
import { version } from '../version.ts'
import { meshProcess } from './process.ts'

export const daemonProcess = meshProcess({
  name: 'daemon',
  describe: 'Run the node proxy of this host',
  examples: [
    ['', 'beside the agent of this host'],
    ['--workers 4', 'on a host with much traffic'],
  ],
  rows: async () => (await import('../../daemon/config.ts')).daemonRows,
  build: async (config, deps) => (await import('../../daemon/app.ts')).build(config, deps),
  version,
})

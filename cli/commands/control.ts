// `culvert control`: runs a control plane.
import { version } from '../version.ts'
import { meshProcess } from './process.ts'

export const controlProcess = meshProcess({
  name: 'control',
  describe: 'Run a control plane',
  examples: [
    ['', 'a control plane on its default ports'],
    ['--config /etc/culvert/resources', 'with resources from a directory'],
  ],
  rows: async () => (await import('../../control/config.ts')).controlRows,
  build: async (config, deps) => (await import('../../control/app.ts')).build(config, deps),
  version,
})

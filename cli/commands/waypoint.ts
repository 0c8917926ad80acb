// `culvert waypoint`: runs the layer-7 proxy of a Gateway.
import { version } from '../version.ts'
import { meshProcess } from './process.ts'

export const waypointProcess = meshProcess({
  name: 'waypoint',
  describe: 'Run the layer-7 proxy that a Gateway of class culvert-waypoint declares',
  examples: [
    [
      '--name shop/wp --address 10.0.0.7 --control mesh.example.com:15012 --token-file /etc/culvert/token',
      'join with a token of `culvert token create --waypoint shop/wp`, and run',
    ],
    [
      '--name shop/wp --instance wp-2 --address 10.0.0.8 --control mesh.example.com:15012',
      'a second replica; its token is one of `culvert token create --host wp-2.shop --waypoint shop/wp`',
    ],
  ],
  rows: async () => (await import('../../waypoint/config.ts')).waypointRows,
  build: async (config, deps) => (await import('../../waypoint/app.ts')).build(config, deps),
  version,
})

// The traffic policy of a DestinationRule: for a whole service, for one of its ports or for a subset, the same table each time.
import { clientTls } from './client-tls.ts'
import { connectionPool } from './connection-pool.ts'
import { portSelector } from './destination.ts'
import { anyDuration } from './duration.ts'
import type { ObjectCheck } from './field.ts'
import { enforced, ignored } from './field.ts'
import { hostOrAddress } from './hosts.ts'
import { loadBalancer } from './load-balancer.ts'
import { outlierDetection } from './outlier-detection.ts'
import { port, text, uint32, whole } from './parts.ts'
import { clip } from './rules.ts'
import { choice, decimal, group, groups, notEmpty } from './shapes.ts'

/** What a port can have of its own. */
const ofPort = { loadBalancer, connectionPool, outlierDetection, tls: clientTls } as const

const portLevelSettings = groups(
  'What holds for single ports, in place of the same part of the whole.',
  group(
    'What holds for one port.',
    {
      port: {
        ...group('Port of the service.', { number: { ...portSelector.fields.number, required: true } }),
        required: true,
      },
      ...ofPort,
    },
    { checks: [notEmpty(...Object.keys(ofPort))] },
  ),
  { maxItems: 4096 },
)

const tunnel = group(
  'Carries connections through a proxy on the way.',
  {
    protocol: text('CONNECT or POST; CONNECT where absent.', {
      check: (value: string) =>
        ['', 'CONNECT', 'POST'].includes(value) ? undefined : `"${clip(value)}" is neither CONNECT nor POST`,
    }),
    targetHost: text('Where the proxy is to connect to.', { required: true, check: hostOrAddress }),
    targetPort: port('Port that the proxy is to connect to.', { required: true }),
  },
  { use: ignored('tunnel has no effect: connections go to the service directly') },
)

const fields = {
  ...ofPort,
  portLevelSettings,
  tunnel,
  proxyProtocol: group(
    'Tells the workload the address of the caller by the PROXY protocol.',
    { version: choice('Version of the protocol; V1 where absent.', ['V1', 'V2']) },
    {
      use: ignored(
        'proxyProtocol has no effect: no header is sent; the workload sees the address of the caller anyway',
      ),
    },
  ),
  retryBudget: group(
    'Limits retries to a share of the requests.',
    {
      percent: decimal('Most retries, in percent of the requests; 20 where absent.', 0, 100),
      minRetryConcurrency: whole('Retries that are allowed in any case; 3 where absent.', 0, uint32),
      budgetInterval: {
        ...text('Time over which requests count.', { check: anyDuration }),
        use: ignored('budgetInterval has no effect: the requests that are under way count'),
      },
    },
    { use: enforced('waypoint: retries') },
  ),
} as const

const tunnelAlone: ObjectCheck = (policy, report) => {
  if (policy['tunnel'] === undefined || policy['proxyProtocol'] === undefined) return
  report(['proxyProtocol'], 'cannot be combined with tunnel: remove one of them')
}

/** Each port once: with two entries only one could hold. */
const portsDiffer: ObjectCheck = (policy, report) => {
  const entries = (policy['portLevelSettings'] ?? []) as readonly { readonly port: { readonly number: number } }[]
  const numbers = entries.map((entry) => entry.port.number)
  for (const [index, number] of numbers.entries()) {
    if (numbers.indexOf(number) === index) continue
    report(['portLevelSettings', index, 'port', 'number'], `${number} is listed twice: join the entries`, 'duplicate')
  }
}

export const trafficPolicy = group('How traffic to the service is treated.', fields, {
  checks: [notEmpty(...Object.keys(fields)), tunnelAlone, portsDiffer],
})

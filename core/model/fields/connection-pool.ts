// How many connections and requests a DestinationRule lets through to a service, and for how long.
import { duration, durationOrNone } from './duration.ts'
import type { ObjectCheck } from './field.ts'
import { enforced, ignored } from './field.ts'
import { flag, int32, uint32, whole } from './parts.ts'
import { choice, group, notEmpty } from './shapes.ts'

const upgradeAlone: ObjectCheck = (http, report) => {
  if (http['h2UpgradePolicy'] !== 'UPGRADE' || http['useClientProtocol'] !== true) return
  report(['useClientProtocol'], 'cannot be combined with h2UpgradePolicy UPGRADE: remove one of them')
}

const http = group(
  'Limits of requests.',
  {
    http1MaxPendingRequests: whole('Most requests that wait for a connection; no limit where absent or 0.', 0, int32),
    http2MaxRequests: whole('Most requests at once; no limit where absent or 0.', 0, int32),
    maxRequestsPerConnection: whole('Most requests on one connection; no limit where absent or 0.', 0, int32),
    maxRetries: whole('Most retries at once; no limit where absent or 0.', 0, int32),
    maxConcurrentStreams: {
      ...whole('Most streams of one HTTP/2 connection.', 0, int32),
      use: ignored('maxConcurrentStreams has no effect: the workload says how many it takes'),
    },
    idleTimeout: duration('How long a connection without requests stays open; 1h where absent.'),
    h2UpgradePolicy: choice('Whether requests become HTTP/2.', ['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']),
    useClientProtocol: flag('Whether the protocol stays that of the client.'),
    http2KeepAlive: group(
      'Pings on HTTP/2 connections.',
      { interval: duration('Time between pings.'), timeout: duration('How long an answer may take.') },
      { use: ignored('http2KeepAlive has no effect: the tunnel finds out about dead connections') },
    ),
  },
  {
    use: enforced('waypoint: circuit'),
    checks: [upgradeAlone],
  },
)

const tcp = group(
  'Limits of connections.',
  {
    maxConnections: whole('Most connections; no limit where absent or 0.', 0, int32),
    connectTimeout: duration('How long connecting may take.'),
    idleTimeout: {
      ...durationOrNone('How long a connection without data stays open; 0s for ever.'),
      use: ignored('tcp.idleTimeout has no effect: http.idleTimeout closes connections without requests'),
    },
    maxConnectionDuration: {
      ...duration('How long a connection may live.'),
      use: ignored('maxConnectionDuration has no effect: connections live until they are idle or drained'),
    },
    tcpKeepalive: group(
      'Keepalive probes of TCP.',
      {
        probes: whole('Probes without an answer after which the connection is dead.', 0, uint32),
        time: duration('Idle time before the first probe.'),
        interval: duration('Time between probes.'),
      },
      { use: ignored('tcpKeepalive has no effect: the tunnel finds out about dead connections') },
    ),
  },
  {
    use: enforced('waypoint: circuit'),
  },
)

export const connectionPool = group(
  'Limits of connections and requests.',
  { tcp, http },
  { checks: [notEmpty('tcp', 'http')] },
)

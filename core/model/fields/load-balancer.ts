// How a DestinationRule spreads requests over the workloads of a service.
import { anyDuration, duration } from './duration.ts'
import type { ObjectCheck } from './field.ts'
import { enforced, ignored } from './field.ts'
import { headerName } from './http-headers.ts'
import { localityLbSetting, zoneAwareLbSetting } from './locality.ts'
import { atMostOne, flag, text, texts, uint32, whole } from './parts.ts'
import { notBlank } from './patterns.ts'
import { choice, decimal, group, groups } from './shapes.ts'

const algorithms = ['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'] as const
/** The largest ring that Envoy takes, and the largest table of Maglev (exclusive). */
const mostRing = 8_388_608
const mostTable = 5_000_011

const tableFits: ObjectCheck = ({ tableSize }, report) => {
  const size = tableSize as number | undefined
  if (size === undefined) report(['tableSize'], 'is required: a prime number such as 65537', 'required')
  else if (size >= mostTable || !isPrime(size)) {
    report(['tableSize'], `${size} is not a prime number below ${mostTable}: choose one such as 65537`)
  }
}

function isPrime(value: number): boolean {
  if (value < 2) return false
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false
  return true
}

const onlyOneSize: ObjectCheck = (value, report) => {
  const form = ['ringHash', 'maglev'].find((name) => value[name] !== undefined)
  if (form === undefined || ((value['minimumRingSize'] as number | undefined) ?? 0) === 0) return
  report(['minimumRingSize'], `cannot be combined with ${form}: write ringHash.minimumRingSize`)
}

const ringSize = whole('Fewest points of the ring; 1024 where absent.', 0, mostRing)

const consistentHash = group(
  'Requests with the same value go to the same workload.',
  {
    httpHeaderName: text('Header with the value.', { check: headerName }),
    httpCookie: group('Cookie with the value; made where the caller has none.', {
      name: text('Name of the cookie.', { required: true, check: headerName }),
      path: text('Path of the cookie.'),
      ttl: text('How long the cookie lives; 0s until the browser closes.', { check: anyDuration }),
      attributes: groups(
        'Further attributes of the cookie.',
        group('One attribute.', {
          name: text('Name of the attribute.', { required: true, check: notBlank }),
          value: text('Value of the attribute.'),
        }),
      ),
    }),
    httpQueryParameterName: text('Query parameter with the value.', { check: notBlank }),
    useSourceIp: flag('The value is the address of the caller.'),
    maglev: group(
      'Maglev hashing.',
      { tableSize: whole('Size of the table, a prime number.', 0, Number.MAX_SAFE_INTEGER) },
      { checks: [tableFits] },
    ),
    ringHash: group('Ring hashing.', { minimumRingSize: ringSize }),
    minimumRingSize: { ...ringSize, text: 'Older form of ringHash.minimumRingSize.' },
  },
  {
    use: enforced('waypoint: balance'),
    checks: [onlyOneSize],
    rules: [
      atMostOne('httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'),
      atMostOne('ringHash', 'maglev'),
    ],
  },
)

const backendUtilization = group(
  'Workloads get traffic by the load that they report.',
  {
    errorUtilizationPenaltyPercent: whole('How much errors count against a workload, in percent.', 0, uint32),
    metricNamesForComputingUtilization: texts('Reported metrics that count as load.', notBlank),
    weightExpirationPeriod: text('How long a report counts.', { check: anyDuration }),
    weightStabilizationPeriod: text('How long a new workload must report first.', { check: anyDuration }),
    weightUpdatePeriod: text('How often the shares are computed anew.', { check: anyDuration }),
  },
  { use: ignored('backendUtilization has no effect: workloads report no load; least requests decide') },
)

const warmupUse = enforced('waypoint: balance')

const fields = {
  simple: {
    ...choice('The algorithm.', algorithms),
    use: enforced('waypoint: balance'),
  },
  consistentHash,
  backendUtilization,
  warmup: group(
    'A new workload gets its share little by little.',
    {
      duration: duration('Time until it has its full share.', { required: true }),
      minimumPercent: decimal('Share at the start, in percent; 10 where absent.', 0, 100),
      aggression: decimal('How the share grows: 1 evenly, more first slowly.', 0),
    },
    { use: warmupUse },
  ),
  warmupDurationSecs: { ...duration('Older form of warmup.duration.'), use: warmupUse },
  localityLbSetting: {
    ...localityLbSetting,
    use: enforced('waypoint: balance'),
  },
  zoneAwareLbSetting: {
    ...zoneAwareLbSetting,
    use: ignored('zoneAwareLbSetting has no effect: use localityLbSetting'),
  },
} as const

export const loadBalancer = group('How the workloads share the traffic.', fields, {
  rules: [atMostOne('simple', 'consistentHash', 'backendUtilization')],
})

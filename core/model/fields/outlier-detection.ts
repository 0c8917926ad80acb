// When a DestinationRule takes a workload out of load balancing for its errors.
import { duration } from './duration.ts'
import { asWhole, enforced, type ListField, type ObjectCheck } from './field.ts'
import { flag, int32, uint32, whole } from './parts.ts'
import { group } from './shapes.ts'

const localOriginSplit: ObjectCheck = (value, report) => {
  const failures = (value['consecutiveLocalOriginFailures'] as number | undefined) ?? 0
  if (failures === 0 || value['splitExternalLocalOriginErrors'] === true) return
  report(['consecutiveLocalOriginFailures'], 'counts only with splitExternalLocalOriginErrors: true: set it too')
}

const codes = {
  type: 'list',
  text: 'Status codes that count as errors instead of 5xx.',
  use: asWhole,
  item: whole('One status code.', 100, 599),
} as const satisfies ListField

export const outlierDetection = group(
  'Takes workloads that fail out of load balancing for a while.',
  {
    consecutive5xxErrors: whole('Answers of 5xx in a row after which a workload is out; 5 where absent.', 0, uint32),
    consecutiveGatewayErrors: whole('Answers of 502, 503 or 504 in a row after which a workload is out.', 0, uint32),
    consecutiveErrors: whole('Older form of consecutiveGatewayErrors.', 0, int32),
    consecutiveLocalOriginFailures: whole('Failed connections in a row after which it is out.', 0, uint32),
    splitExternalLocalOriginErrors: flag('Whether failed connections and bad answers are counted apart.'),
    outlierDetectionHttpErrorCodes: codes,
    interval: duration('Time between two looks; 10s where absent.'),
    baseEjectionTime: duration('How long a workload is out the first time; 30s where absent.'),
    maxEjectionPercent: whole('Most workloads that are out at once, in percent; 10 where absent.', 0, 100),
    minHealthPercent: whole('Share of healthy workloads below which none is out, in percent.', 0, 100),
  },
  {
    use: enforced('waypoint: outliers'),
    checks: [localOriginSplit],
  },
)

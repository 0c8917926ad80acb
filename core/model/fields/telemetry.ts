// Telemetry (telemetry.istio.io): metrics, traces and access logs of the selected workloads.
import { asWhole, ignored, type ObjectField, type ValueOf } from './field.ts'
import { policyTargetRef, policyTargetRefs } from './policy-target.ts'
import { selectorAsWhole, selectorOrTargets } from './selector.ts'
import { accessLogging, metrics } from './telemetry-metrics.ts'
import { tracing } from './telemetry-tracing.ts'

export const telemetrySpec = {
  type: 'object',
  text: 'Metrics, traces and access logs of the selected workloads.',
  use: asWhole,
  rules: [selectorOrTargets],
  fields: {
    selector: selectorAsWhole,
    targetRef: policyTargetRef,
    targetRefs: policyTargetRefs,
    metrics: {
      ...metrics,
      use: ignored('metrics has no effect: the proxies count every connection, with all labels'),
    },
    tracing: { ...tracing, use: ignored('tracing has no effect: no spans are made') },
    accessLogging: {
      ...accessLogging,
      use: ignored('accessLogging has no effect: the proxies log every connection, as they are configured'),
    },
  },
} as const satisfies ObjectField

export type TelemetrySpec = ValueOf<typeof telemetrySpec>

// Metrics and access logs of a Telemetry: what is counted, with which tags, and what is logged.

import { duration } from './duration.ts'
import { asWhole, type MapField, type ObjectRule } from './field.ts'
import { atMostOne, flag, text } from './parts.ts'
import { notBlank } from './patterns.ts'
import { choice, group, groups } from './shapes.ts'
import { mode, modeMatch, providers } from './telemetry-parts.ts'

const metricNames = [
  'ALL_METRICS',
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
] as const

/** istiod takes an absent operation for UPSERT. */
const valueToSet: ObjectRule = {
  message: 'value must be set when operation is UPSERT',
  check: ({ operation, value }, report) => {
    if (operation === 'REMOVE' || (value !== undefined && value !== '')) return
    report(['value'], 'is required to set the tag; to remove the tag write operation: REMOVE', 'required')
  },
}

const noValueToRemove: ObjectRule = {
  message: 'value must not be set when operation is REMOVE',
  check: ({ operation, value }, report) => {
    if (operation === 'REMOVE' && value !== undefined) report(['value'], 'cannot be combined with operation REMOVE')
  },
}

const tagOverrides = {
  type: 'map',
  text: 'Changes of tags, by the name of the tag.',
  use: asWhole,
  key: notBlank,
  value: group(
    'The change of one tag.',
    {
      operation: choice('UPSERT sets the tag, REMOVE leaves it out; UPSERT where absent.', ['UPSERT', 'REMOVE']),
      value: text('What the tag becomes, a CEL expression.'),
    },
    { rules: [valueToSet, noValueToRemove] },
  ),
} as const satisfies MapField

const override = group('A change of some metrics.', {
  match: group(
    'Which metrics; all where absent.',
    {
      metric: choice('One of the metrics of the mesh.', metricNames),
      customMetric: text('Any other metric, by its name.', { minLength: 1 }),
      mode,
    },
    { rules: [atMostOne('metric', 'customMetric')] },
  ),
  disabled: flag('Whether the metrics are left out.'),
  tagOverrides,
})

export const metrics = groups(
  'What is counted.',
  group('One setting of metrics.', {
    providers,
    overrides: groups('Changes of metrics, of which later ones win.', override),
    reportingInterval: duration('How often TCP metrics of open connections are brought up to date.'),
  }),
)

export const accessLogging = groups(
  'What is logged.',
  group('One setting of logging.', {
    match: modeMatch,
    providers,
    disabled: flag('Whether nothing is logged.'),
    filter: group('Which requests are logged; all where absent.', {
      expression: text('A CEL expression that says so.', { check: notBlank }),
    }),
  }),
)

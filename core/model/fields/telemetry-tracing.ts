// Tracing of a Telemetry: which requests become spans, who gets them, and what is added to them.
import { asWhole, type MapField, type ObjectCheck, type ValueCheck } from './field.ts'
import { headerName } from './http-headers.ts'
import { atMostOne, flag, text } from './parts.ts'
import { notBlank } from './patterns.ts'
import { decimal, group, groups } from './shapes.ts'
import { modeMatch, providers } from './telemetry-parts.ts'

const variable: ValueCheck<string> = (value) =>
  /[=\s]/.test(value) || value === '' ? 'is not the name of an environment variable' : undefined

const instead = text('Value where there is none.')

const tagHasValue: ObjectCheck = (tag, report) => {
  if (Object.keys(tag).length === 0) report([], 'has no value: set one of literal, environment, header, formatter')
}

const customTag = group(
  'Where the value of the tag comes from.',
  {
    literal: group('A fixed value.', { value: text('The value.', { required: true, minLength: 1 }) }),
    environment: group('An environment variable of the proxy.', {
      name: text('Name of the variable.', { required: true, check: variable }),
      defaultValue: instead,
    }),
    header: group('A header of the request.', {
      name: text('Name of the header.', { required: true, check: headerName }),
      defaultValue: instead,
    }),
    formatter: group('A pattern of the access log.', {
      value: text('The pattern, such as %REQ(X-TEAM)%.', { required: true, minLength: 1 }),
    }),
  },
  { rules: [atMostOne('literal', 'environment', 'header', 'formatter')], checks: [tagHasValue] },
)

const customTags = {
  type: 'map',
  text: 'Tags that are added to the spans.',
  use: asWhole,
  key: notBlank,
  value: customTag,
} as const satisfies MapField

export const tracing = groups(
  'Which requests become spans.',
  group('One setting of tracing.', {
    match: modeMatch,
    providers,
    randomSamplingPercentage: decimal('Share of the requests that are traced, in percent.', 0, 100),
    disableSpanReporting: flag('Whether no spans are sent.'),
    disableContextPropagation: flag('Whether trace headers are left alone.'),
    customTags,
    useRequestIdForTraceSampling: flag('Whether the request id decides which requests are traced.'),
    enableIstioTags: flag('Whether spans carry the tags of the mesh.'),
  }),
)

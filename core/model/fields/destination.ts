// Where a route of a VirtualService leads, with weights and percentages.
import { asWhole, type NumberField, type ObjectCheck, type ObjectField } from './field.ts'
import { hostOrAddress } from './hosts.ts'
import { int32, port, text, whole } from './parts.ts'
import { dnsLabel } from './rules.ts'

export const portSelector = {
  type: 'object',
  text: 'Port of the destination; needed where it has several.',
  use: asWhole,
  fields: { number: port('Number of the port.') },
} as const satisfies ObjectField

export const destination = {
  type: 'object',
  text: 'A service, or a subset of it.',
  use: asWhole,
  fields: {
    host: text('Name of the service.', { required: true, check: hostOrAddress }),
    subset: text('Subset that a DestinationRule names.', {
      check: (value: string) => (value === '' ? undefined : dnsLabel(value)),
    }),
    port: portSelector,
  },
} as const satisfies ObjectField

/** protobuf's Percent: 0 to 100, with fractions. */
export const percentage = {
  type: 'object',
  text: 'Share in percent, all where absent.',
  use: asWhole,
  fields: {
    value: {
      type: 'number',
      text: 'From 0 to 100, with fractions.',
      use: asWhole,
      min: 0,
      max: 100,
    } as const satisfies NumberField,
  },
} as const satisfies ObjectField

export const weight = whole('Share of the traffic, relative to the other destinations.', 0, int32)

/** With several destinations, somebody must get the traffic. */
export const weightsCount: ObjectCheck = (rule, report) => {
  const route = (rule['route'] as readonly { readonly weight?: number }[] | undefined) ?? []
  if (route.length < 2) return
  const sum = route.reduce((total, { weight = 0 }) => total + weight, 0)
  if (sum === 0) report(['route'], 'has no weight above 0: no destination would get traffic')
  if (sum > int32) report(['route'], `has weights of ${sum} in sum, at most ${int32} are allowed`)
}

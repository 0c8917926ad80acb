// The status of Istio's kinds: conditions, which Culvert writes, and what Istio's analyzers write. All of Istio's rows have it.
import { asWhole, enforced, type FieldTable, ignored, type ObjectField } from './field.ts'

const written = enforced('api: written by the control plane')

const text = (what: string) => ({ type: 'string', text: what, use: asWhole }) as const
const time = (what: string) => ({ type: 'string', text: what, use: asWhole, format: 'date-time' }) as const

const observedGeneration = {
  type: 'int-or-string',
  text: 'The metadata.generation that this is about.',
  use: asWhole,
} as const

const conditionFields = {
  type: text('Name of the condition.'),
  status: text('True, False or Unknown.'),
  reason: text('Why, in one word.'),
  message: text('Why, for people.'),
  observedGeneration,
  lastTransitionTime: time('When the condition changed last.'),
  lastProbeTime: time('When the condition was looked at last.'),
} as const satisfies FieldTable

const messageFields = {
  type: {
    type: 'object',
    text: 'What kind of message it is.',
    use: asWhole,
    fields: { name: text('Name of the kind of message.'), code: text('Code such as IST0101.') },
  },
  level: {
    type: 'enum',
    text: 'How severe it is.',
    use: asWhole,
    values: ['UNKNOWN', 'ERROR', 'WARNING', 'INFO'],
  },
  documentationUrl: text('Where the message is explained.'),
} as const satisfies FieldTable

export const istioStatus = {
  type: 'object',
  text: 'What the mesh made of the object.',
  use: written,
  open: true,
  fields: {
    conditions: {
      type: 'list',
      text: 'Conditions, one of each type.',
      use: written,
      item: { type: 'object', text: 'One condition.', use: asWhole, fields: conditionFields },
    },
    observedGeneration: { ...observedGeneration, use: written },
    validationMessages: {
      type: 'list',
      text: 'What the analyzers of Istio say.',
      use: ignored('validationMessages are kept but never written: the conditions say what is wrong'),
      item: { type: 'object', text: 'One message.', use: asWhole, fields: messageFields },
    },
  },
} as const satisfies ObjectField

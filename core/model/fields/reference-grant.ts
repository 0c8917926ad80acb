// ReferenceGrant (gateway.networking.k8s.io): objects of other namespaces that may refer to objects of this one.
import { asWhole, enforced, type FieldUse, type ListField, type ObjectField, type ValueOf } from './field.ts'
import { groupOf, kindName, namespaceName, objectName } from './gateway-parts.ts'

const use: FieldUse = enforced('analyze, status: references of routes to other namespaces')

const from = {
  type: 'list',
  text: 'Who may refer.',
  use,
  required: true,
  minItems: 1,
  maxItems: 16,
  item: {
    type: 'object',
    text: 'Objects of one kind in one namespace.',
    use: asWhole,
    fields: {
      group: groupOf('Their API group; empty for the core group.', { required: true }),
      kind: kindName('Their kind.', { required: true }),
      namespace: namespaceName('Their namespace.', { required: true }),
    },
  },
} as const satisfies ListField

const to = {
  type: 'list',
  text: 'What they may refer to.',
  use,
  required: true,
  minItems: 1,
  maxItems: 16,
  item: {
    type: 'object',
    text: 'Objects of one kind, or one of them.',
    use: asWhole,
    fields: {
      group: groupOf('Their API group; empty for the core group.', { required: true }),
      kind: kindName('Their kind.', { required: true }),
      name: objectName('The name of one; all of them where absent.'),
    },
  },
} as const satisfies ListField

export const referenceGrantSpec = {
  type: 'object',
  text: 'Which references from other namespaces are allowed.',
  use: asWhole,
  required: true,
  fields: { from, to },
} as const satisfies ObjectField

export type ReferenceGrantSpec = ValueOf<typeof referenceGrantSpec>

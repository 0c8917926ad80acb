// Namespace (core v1). Enrolment hangs on its labels; its spec has nothing for a mesh.
import { asWhole, enforced, type ObjectField } from './field.ts'

export const namespaceSpec = {
  type: 'object',
  text: 'Kubernetes bookkeeping.',
  use: asWhole,
  fields: {
    finalizers: {
      type: 'list',
      text: 'Names of controllers that must act before a deletion.',
      use: enforced('api: `kubernetes` holds a deleted namespace until its objects are gone'),
      item: { type: 'string', text: 'One finalizer.', use: asWhole },
    },
  },
} as const satisfies ObjectField

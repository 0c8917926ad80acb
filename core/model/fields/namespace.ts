// Namespace (core v1). Enrolment hangs on its labels; its spec has nothing for a mesh.
import { asWhole, ignored, type ObjectField } from './field.ts'

export const namespaceSpec = {
  type: 'object',
  text: 'Kubernetes bookkeeping.',
  use: asWhole,
  fields: {
    finalizers: {
      type: 'list',
      text: 'Names of controllers that must act before a deletion.',
      use: ignored('finalizers are not waited for: deleting a namespace deletes its objects at once'),
      item: { type: 'string', text: 'One finalizer.', use: asWhole },
    },
  },
} as const satisfies ObjectField

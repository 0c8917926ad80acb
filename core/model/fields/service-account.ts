// ServiceAccount (core v1): the name under which workloads run. Identities need no such object: they come from the workloads' names.
import { list, listBy, localReference, objectReference } from './core-parts.ts'
import { type FieldTable, ignored } from './field.ts'

const noTokens = 'the mesh issues no tokens of service accounts: a workload proves its identity with its certificate'

export const serviceAccountBody = {
  secrets: {
    ...listBy('name', 'Secrets that its pods may use.', objectReference('One Secret.')),
    use: ignored(noTokens),
  },
  imagePullSecrets: {
    ...list('Secrets for fetching images.', localReference),
    use: ignored('the mesh starts no pods: images are not fetched'),
  },
  automountServiceAccountToken: {
    type: 'boolean',
    text: 'Whether pods see a token of the service account.',
    use: ignored(noTokens),
  },
} as const satisfies FieldTable

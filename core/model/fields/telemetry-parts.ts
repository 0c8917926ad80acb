// What the three parts of a Telemetry share: providers, and on which side of a connection a setting holds.
import { text } from './parts.ts'
import { choice, group, groups } from './shapes.ts'

export const mode = choice('Which side: the caller (CLIENT), the workload (SERVER) or both; both where absent.', [
  'CLIENT_AND_SERVER',
  'CLIENT',
  'SERVER',
])

export const modeMatch = group('When the setting holds; always where absent.', { mode })

export const providers = groups(
  'Who gets the data; the default of the mesh where absent.',
  group('One provider.', { name: text('Name of the provider.', { required: true, minLength: 1 }) }),
)

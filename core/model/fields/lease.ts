// Lease (coordination.k8s.io): who holds something for a while, such as the leadership among replicas of somebody's controller.
import { time } from './core-parts.ts'
import { enforced, type ObjectCheck, type ObjectField } from './field.ts'
import { int32, text, whole } from './parts.ts'

const strategyNeedsHolder: ObjectCheck = (spec, report) => {
  const preferred = (spec['preferredHolder'] as string | undefined) ?? ''
  const strategy = (spec['strategy'] as string | undefined) ?? ''
  if (preferred !== '' && strategy === '') report(['strategy'], 'is required beside preferredHolder', 'required')
}

export const leaseSpec = {
  type: 'object',
  text: 'Who holds it, and how long.',
  use: enforced('api: kept for its readers; every write is conditional on the revision'),
  checks: [strategyNeedsHolder],
  fields: {
    holderIdentity: text('Who holds it.', { minLength: 1 }),
    leaseDurationSeconds: whole('Seconds after the last renewal in which it is held.', 1, int32),
    acquireTime: time('When the holder took it.'),
    renewTime: time('When the holder renewed it last.'),
    leaseTransitions: whole('How often the holder has changed.', 0, int32),
    preferredHolder: text('Who should get it next.', { minLength: 1 }),
    strategy: text('How the next holder is chosen, such as OldestEmulationVersion.'),
  },
} as const satisfies ObjectField

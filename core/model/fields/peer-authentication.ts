// PeerAuthentication (security.istio.io): whether a workload takes plaintext.
import { asWhole, type EnumField, enforced, type ObjectCheck, type ObjectField, type ValueOf } from './field.ts'
import { workloadSelector } from './selector.ts'

const mode = {
  type: 'enum',
  text: 'STRICT refuses plaintext; PERMISSIVE takes both; UNSET inherits from the namespace, then the mesh.',
  use: enforced('compile, daemon inbound', (value) =>
    value === 'DISABLE'
      ? 'DISABLE acts as PERMISSIVE: peers in the mesh still use the tunnel, plaintext is accepted too'
      : undefined,
  ),
  values: ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'],
} as const satisfies EnumField

const mtls = {
  type: 'object',
  text: 'The mode of all ports.',
  use: enforced('compile, daemon inbound'),
  fields: { mode },
} as const satisfies ObjectField

/** Ports are those of one workload, so a whole namespace cannot have them (Istio's rule too). */
const portsNeedSelector: ObjectCheck = (spec, report) => {
  if (spec['portLevelMtls'] === undefined) return
  const selector = spec['selector'] as { matchLabels?: object } | undefined
  if (Object.keys(selector?.matchLabels ?? {}).length === 0) {
    report(['portLevelMtls'], 'needs a selector with at least one label: ports are those of a workload')
  }
}

export const peerAuthenticationSpec = {
  type: 'object',
  text: 'Whether workloads accept plaintext.',
  use: asWhole,
  checks: [portsNeedSelector],
  fields: {
    selector: workloadSelector,
    mtls,
    portLevelMtls: {
      type: 'map',
      text: 'Exceptions by port of the workload.',
      use: enforced('compile, daemon inbound'),
      minItems: 1,
      key: (key) =>
        /^[1-9]\d{0,4}$/.test(key) && Number(key) <= 65535 ? undefined : `"${key}" is not a port: 1 to 65535`,
      value: { ...mtls, text: 'The mode of this port.' },
    },
  },
} as const satisfies ObjectField

export type PeerAuthenticationSpec = ValueOf<typeof peerAuthenticationSpec>

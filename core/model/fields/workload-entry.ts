// WorkloadEntry (networking.istio.io): one workload outside Kubernetes. Agents' reports become these objects too.
import { isIP } from 'node:net'
import { labelsWithoutEffect } from '../enrolment.ts'
import { asWhole, enforced, ignored, type ObjectCheck, type ObjectField, type ValueOf } from './field.ts'
import { all, clip, dnsSubdomain, labelValue, maxLength, qualifiedName, unicastAddress } from './rules.ts'

const address = (value: string): string | undefined => {
  if (value.startsWith('unix://')) return 'Unix sockets cannot be reached across hosts; give an IP address'
  // digits and dots, or a colon: meant as an address, so not taken for a DNS name
  if (isIP(value) !== 0 || value.includes(':') || /^[\d.]+$/.test(value)) return unicastAddress(value)
  return dnsSubdomain(value) === undefined ? undefined : `"${clip(value)}" is neither an IP address nor a DNS name`
}

const nameIsNotResolved = (value: unknown): string | undefined =>
  typeof value === 'string' && isIP(value) === 0
    ? `the DNS name "${value}" is not resolved: traffic reaches this workload only once it has an IP address`
    : undefined

const portKey = (key: string): string | undefined =>
  key.length < 63 && /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(key)
    ? undefined
    : `"${clip(key)}" is not a port name: up to 62 letters, digits and "-"`

const addressOrNetwork: ObjectCheck = (spec, report) => {
  if (spec['address'] === undefined && spec['network'] === undefined) report(['address'], 'is required', 'required')
}

export const workloadEntrySpec = {
  type: 'object',
  text: 'One workload: its address, labels and service account.',
  use: asWhole,
  required: true,
  checks: [addressOrNetwork],
  fields: {
    address: {
      type: 'string',
      text: 'IP address of the workload.',
      use: enforced('compile: Workload.addresses', nameIsNotResolved),
      check: all(maxLength(256), address),
    },
    ports: {
      type: 'map',
      text: 'Port of the workload by the name of the service port, where it differs from the target port.',
      use: enforced('compile: target port of an endpoint'),
      maxItems: 128,
      key: portKey,
      value: { type: 'integer', text: 'Port of the workload.', use: asWhole, min: 1, max: 65535 },
    },
    labels: {
      type: 'map',
      text: 'Labels for Service and policy selectors.',
      use: enforced('compile: selectors', labelsWithoutEffect),
      maxItems: 256,
      key: qualifiedName,
      value: { type: 'string', text: 'A label value.', use: asWhole, check: labelValue },
    },
    network: {
      type: 'string',
      text: 'Layer-3 network of the workload.',
      use: ignored('network has no effect: all workloads are taken to reach each other directly'),
      check: maxLength(2048),
    },
    locality: {
      type: 'string',
      text: 'Locality as region/zone/subzone.',
      use: enforced('compile: Workload.locality'),
      check: maxLength(2048),
    },
    weight: {
      type: 'integer',
      text: 'Relative share of load balancing.',
      use: enforced('compile: Workload.weight'),
      min: 0,
      max: 4_294_967_295,
    },
    serviceAccount: {
      type: 'string',
      text: 'Service account, the last part of the identity; "default" where absent.',
      use: enforced('compile: identity'),
      check: (value) => (value === '' ? undefined : all(maxLength(253), dnsSubdomain)(value)),
    },
  },
} as const satisfies ObjectField

export type WorkloadEntrySpec = ValueOf<typeof workloadEntrySpec>

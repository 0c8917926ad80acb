// Workload definition files: one YAML or JSON mapping per workload in the --workloads-dir. The field table is the only
// place that knows the fields; problems carry file, line and column. Pure; directory.ts reads the files.

import { Check } from '../../core/model/field-check.ts'
import { asWhole, enforced, type Field, type ObjectField, type ValueOf } from '../../core/model/fields/field.ts'
import {
  all,
  clip,
  dnsLabel,
  dnsSubdomain,
  item,
  labelValue,
  maxLength,
  portName,
  qualifiedName,
  unicastAddress,
} from '../../core/model/fields/rules.ts'
import { locateProblem, readSingle } from '../../core/model/manifest.ts'
import { formatProblem } from '../../core/model/problem.ts'
import { canonicalAddress, parseSocketAddress } from '../../core/net/address.ts'

const absolutePath = (value: string): string | undefined =>
  value.startsWith('/') && !value.includes('\0') ? undefined : `"${clip(value)}" is not an absolute path`

const resolver = (value: string): string | undefined =>
  canonicalAddress(value) === undefined && parseSocketAddress(value) === undefined
    ? `"${clip(value)}" is neither an IP address nor ip:port`
    : undefined

const port = { type: 'integer', text: 'A port.', use: asWhole, min: 1, max: 65535 } as const satisfies Field
const label = { type: 'string', text: 'A label value.', use: asWhole, check: labelValue } as const satisfies Field

export const workloadDefinition = {
  type: 'object',
  text: 'One workload of this host.',
  use: asWhole,
  fields: {
    name: {
      type: 'string',
      text: 'Name, unique in its namespace.',
      use: enforced('uid'),
      required: true,
      check: dnsSubdomain,
    },
    namespace: { type: 'string', text: 'Namespace.', use: enforced('identity'), required: true, check: dnsLabel },
    serviceAccount: {
      type: 'string',
      text: 'Service account, the last part of the identity.',
      use: enforced('identity'),
      required: true,
      check: all(maxLength(253), dnsSubdomain),
    },
    netns: {
      type: 'string',
      text: 'Path of its network namespace, such as /run/netns/orders or /proc/4711/ns/net.',
      use: enforced('capture'),
      required: true,
      check: all(maxLength(4095), absolutePath),
    },
    labels: {
      type: 'map',
      text: 'Labels for Service and policy selectors.',
      use: enforced('report'),
      maxItems: 256,
      key: qualifiedName,
      value: label,
    },
    ports: { type: 'map', text: 'Port by name.', use: enforced('report'), maxItems: 128, key: portName, value: port },
    addresses: {
      type: 'list',
      text: 'Addresses; those of the namespace where absent.',
      use: enforced('report'),
      minItems: 1,
      maxItems: 32,
      item: item(unicastAddress),
    },
    nameservers: {
      type: 'list',
      text: 'Resolvers for names that are not of the mesh, ip or ip:port; those of the host where absent.',
      use: enforced('DNS'),
      minItems: 1,
      maxItems: 16,
      item: item(resolver),
    },
    locality: { type: 'string', text: 'region/zone/subzone.', use: enforced('report'), check: maxLength(1024) },
    weight: {
      type: 'integer',
      text: 'Relative share of load balancing.',
      use: enforced('report'),
      min: 0,
      max: 1_000_000,
    },
  },
} as const satisfies ObjectField

export type WorkloadDefinition = ValueOf<typeof workloadDefinition>

/** Reads one file. Every problem is `file:line:column: path: message`. */
export function parseDefinition(
  text: string,
  file: string,
): { readonly definition: WorkloadDefinition } | { readonly problems: readonly string[] } {
  const read = readSingle(text, file)
  if ('problems' in read) return { problems: read.problems.map(formatProblem) }
  const check = new Check({ version: '', nulls: 'refused' })
  check.field(read.value, workloadDefinition, [])
  if (check.problems.length === 0) return { definition: read.value as WorkloadDefinition }
  return {
    problems: check.problems.map((problem) => formatProblem(locateProblem({ file, locate: read.locate }, problem))),
  }
}

// WorkloadGroup (networking.istio.io): what the WorkloadEntries of machines that register themselves are made of.
import { asWhole, ignored, type ObjectField, type ValueOf } from './field.ts'
import { hostOrAddress } from './hosts.ts'
import { headerValue } from './http-headers.ts'
import { int32, oneOf, port, text, whole } from './parts.ts'
import { annotationKey, clip, labelValue, qualifiedName } from './rules.ts'
import { workloadEntrySpec } from './workload-entry.ts'

const scheme = (value: string): string | undefined =>
  ['', 'HTTP', 'HTTPS'].includes(value) ? undefined : `"${clip(value)}" is neither HTTP nor HTTPS`

const host = text('Host to connect to; the address of the workload where absent.', {
  check: (value: string) => (value === '' ? undefined : hostOrAddress(value)),
})

const httpGet = {
  type: 'object',
  text: 'Healthy with an HTTP status from 200 to 399.',
  use: asWhole,
  fields: {
    host,
    port: port('Port of the workload.', { required: true }),
    path: text('Path of the request.'),
    scheme: text('Scheme: HTTP or HTTPS; HTTP where absent.', { check: scheme }),
    httpHeaders: {
      type: 'list',
      text: 'Headers of the request.',
      use: asWhole,
      item: {
        type: 'object',
        text: 'One header.',
        use: asWhole,
        fields: {
          name: text('Name of the header.', { pattern: '^[-_A-Za-z0-9]+$' }),
          value: text('Value of the header.', { check: headerValue }),
        },
      },
    },
  },
} as const satisfies ObjectField

const exec = {
  type: 'object',
  text: 'Healthy where the command ends with 0.',
  use: asWhole,
  fields: {
    command: {
      type: 'list',
      text: 'The command with its arguments.',
      use: asWhole,
      required: true,
      minItems: 1,
      item: text('One word.', { minLength: 1 }),
    },
  },
} as const satisfies ObjectField

const count = (what: string) => whole(what, 0, int32)

const probe = {
  type: 'object',
  text: 'How the health of the workloads is found out.',
  use: asWhole,
  rules: [oneOf('httpGet', 'tcpSocket', 'exec', 'grpc')],
  fields: {
    initialDelaySeconds: count('Seconds before the first probe.'),
    timeoutSeconds: count('Seconds that a probe may take; 1 where absent.'),
    periodSeconds: count('Seconds between probes; 10 where absent.'),
    successThreshold: count('Probes in a row that make a workload healthy; 1 where absent.'),
    failureThreshold: count('Probes in a row that make a workload unhealthy; 3 where absent.'),
    httpGet,
    tcpSocket: {
      type: 'object',
      text: 'Healthy where the port takes a connection.',
      use: asWhole,
      fields: { host, port: port('Port of the workload.', { required: true }) },
    },
    exec,
    grpc: {
      type: 'object',
      text: "Healthy where gRPC's health service says so.",
      use: asWhole,
      fields: { port: port('Port of the workload.'), service: text('Service that is asked for.') },
    },
  },
} as const satisfies ObjectField

const metadata = {
  type: 'object',
  text: 'Labels and annotations of the WorkloadEntries.',
  use: asWhole,
  fields: {
    labels: {
      type: 'map',
      text: 'Labels of the WorkloadEntries.',
      use: asWhole,
      maxItems: 256,
      key: qualifiedName,
      value: text('A label value.', { check: labelValue }),
    },
    annotations: {
      type: 'map',
      text: 'Annotations of the WorkloadEntries.',
      use: asWhole,
      maxItems: 256,
      key: annotationKey,
      value: text('Any text.'),
    },
  },
} as const satisfies ObjectField

export const workloadGroupSpec = {
  type: 'object',
  text: 'What the WorkloadEntries of machines that register themselves are made of.',
  use: ignored(
    'a WorkloadGroup has no effect: agents report the workloads of their hosts, for which the join token says namespace and service account',
  ),
  required: true,
  fields: {
    metadata,
    template: {
      type: 'object',
      text: 'The WorkloadEntry without its address.',
      use: asWhole,
      required: true,
      fields: workloadEntrySpec.fields,
    },
    probe,
  },
} as const satisfies ObjectField

export type WorkloadGroupSpec = ValueOf<typeof workloadGroupSpec>

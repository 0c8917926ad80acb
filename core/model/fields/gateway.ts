// Gateway (gateway.networking.k8s.io): a proxy with listeners. Of class culvert-waypoint (or Istio's istio-waypoint) it is the layer-7
// proxy of services; others are for traffic from outside.
import { asWhole, enforced, ignored, type ListField, type ObjectField, type ValueOf } from './field.ts'
import { gatewayAddresses } from './gateway-address.ts'
import { listeners } from './gateway-listeners.ts'
import { groupOf, kindName, localReference, namespaceName, objectName, secretReference } from './gateway-parts.ts'
import { namespaceChoice } from './namespace-choice.ts'
import { port, text } from './parts.ts'
import { clip, labelValue, qualifiedName } from './rules.ts'

/** Metadata keys as the CRD limits them: the prefix, or a key without one, has fewer than 253 characters. */
const metadataKey = (key: string): string | undefined =>
  key.split('/')[0]!.length < 253 ? qualifiedName(key) : `"${clip(key)}" has too long a prefix: up to 252 characters`

const infrastructure = {
  type: 'object',
  text: 'What is made for the gateway.',
  use: ignored('infrastructure is not made: `culvert waypoint` starts the instances of a waypoint'),
  fields: {
    labels: {
      type: 'map',
      text: 'Labels of what is made.',
      use: asWhole,
      maxItems: 8,
      key: metadataKey,
      value: text('Value of the label.', {
        minLength: 0,
        maxLength: 63,
        pattern: '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$',
        check: labelValue,
      }),
    },
    annotations: {
      type: 'map',
      text: 'Annotations of what is made.',
      use: asWhole,
      maxItems: 16,
      key: metadataKey,
      value: text('Value of the annotation.', { minLength: 0, maxLength: 4096 }),
    },
    parametersRef: localReference('An object with settings for this gateway.'),
  },
} as const satisfies ObjectField

const certificateOfAnAuthority = {
  type: 'object',
  text: 'A ConfigMap, or what else holds a certificate.',
  use: asWhole,
  fields: {
    group: groupOf('API group of the object; empty for the core group.', { required: true }),
    kind: kindName('Kind of the object.', { required: true }),
    name: objectName('Name of the object.', { required: true }),
    namespace: namespaceName('Its namespace, this one where absent; another one needs a ReferenceGrant.'),
  },
} as const satisfies ObjectField

const validation = {
  type: 'object',
  text: 'Which client certificates are accepted.',
  use: asWhole,
  fields: {
    caCertificateRefs: {
      type: 'list',
      text: 'Authorities whose certificates are accepted.',
      use: asWhole,
      required: true,
      minItems: 1,
      maxItems: 16,
      item: certificateOfAnAuthority,
    },
    mode: {
      type: 'enum',
      text: 'Whether clients without a valid certificate are let in.',
      use: asWhole,
      values: ['AllowValidOnly', 'AllowInsecureFallback'],
      default: 'AllowValidOnly',
    },
  },
} as const satisfies ObjectField

const clientTls = {
  type: 'object',
  text: 'What is asked of clients.',
  use: asWhole,
  required: true,
  fields: { validation },
} as const satisfies ObjectField

const perPort = {
  type: 'list',
  text: 'What is asked of clients at single ports.',
  use: asWhole,
  maxItems: 64,
  listType: 'map',
  mapKeys: ['port'],
  item: {
    type: 'object',
    text: 'One port.',
    use: asWhole,
    fields: { port: port('Port of listeners.', { required: true }), tls: clientTls },
  },
} as const satisfies ListField

const tls = {
  type: 'object',
  text: 'TLS with clients and with backends.',
  use: ignored('tls is not applied: a waypoint speaks the mutual TLS of the mesh on both sides'),
  fields: {
    frontend: {
      type: 'object',
      text: 'TLS with clients.',
      use: asWhole,
      fields: {
        default: { ...clientTls, text: 'What is asked of clients at all ports without an entry in perPort.' },
        perPort,
      },
    },
    backend: {
      type: 'object',
      text: 'TLS with backends.',
      use: asWhole,
      fields: { clientCertificateRef: secretReference('The certificate that the gateway shows.') },
    },
  },
} as const satisfies ObjectField

export const gatewaySpec = {
  type: 'object',
  text: 'A proxy with listeners.',
  use: asWhole,
  required: true,
  fields: {
    gatewayClassName: objectName('Class of the gateway: culvert-waypoint for a waypoint.', {
      required: true,
      use: enforced('compile: a Gateway of the class culvert-waypoint, or istio-waypoint, declares a waypoint'),
    }),
    listeners,
    addresses: gatewayAddresses,
    infrastructure,
    allowedListeners: {
      type: 'object',
      text: 'Who may add listeners with a ListenerSet.',
      use: ignored('allowedListeners has no effect: a waypoint has one listener'),
      fields: {
        namespaces: namespaceChoice('Namespaces of the ListenerSets.', ['All', 'Selector', 'Same', 'None'], 'None'),
      },
    },
    defaultScope: {
      type: 'enum',
      text: 'Whether routes without a parent attach here.',
      use: ignored('defaultScope has no effect: routes attach to Services'),
      values: ['All', 'None'],
    },
    tls,
  },
} as const satisfies ObjectField

export type GatewaySpec = ValueOf<typeof gatewaySpec>

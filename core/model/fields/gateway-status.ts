// The status of the Gateway API's kinds. The control plane writes it (control/publish/status-shape.ts); others may write beside it.
import { asWhole, enforced, type Field, type ListField, type ObjectField } from './field.ts'
import { addressFields, addressShape } from './gateway-address.ts'
import { controllerName, gatewayGroup, groupOf, kindName, sectionName } from './gateway-parts.ts'
import { int32, text, whole } from './parts.ts'
import { parentFields } from './route-parents.ts'

const written = enforced('api: written by the control plane')

const largest = Number.MAX_SAFE_INTEGER

const condition = {
  type: 'object',
  text: 'One condition.',
  use: asWhole,
  fields: {
    type: text('Name of the condition.', {
      required: true,
      maxLength: 316,
      pattern:
        '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$',
    }),
    status: {
      type: 'enum',
      text: 'True, False or Unknown.',
      use: asWhole,
      required: true,
      values: ['True', 'False', 'Unknown'],
    },
    reason: text('Why, in one word.', {
      required: true,
      minLength: 1,
      maxLength: 1024,
      pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
    }),
    message: text('Why, for people.', { required: true, maxLength: 32_768 }),
    observedGeneration: whole('The metadata.generation that this is about.', 0, largest),
    lastTransitionTime: text('When the condition changed last.', { required: true, format: 'date-time' }),
  },
} as const satisfies ObjectField

const conditions = {
  type: 'list',
  text: 'Conditions, one of each type.',
  use: written,
  maxItems: 8,
  listType: 'map',
  mapKeys: ['type'],
  item: condition,
} as const satisfies ListField

/** What the API server writes before any controller has looked at the object. */
function pending(...types: readonly string[]) {
  return types.map((type) => ({
    lastTransitionTime: '1970-01-01T00:00:00Z',
    message: 'Waiting for controller',
    reason: 'Pending',
    status: 'Unknown',
    type,
  }))
}

export const gatewayClassStatus = {
  type: 'object',
  text: 'What the mesh made of the class.',
  use: written,
  default: { conditions: pending('Accepted') },
  fields: {
    conditions: { ...conditions, default: pending('Accepted') },
    supportedFeatures: {
      type: 'list',
      text: 'Features of the Gateway API that gateways of this class have.',
      use: written,
      maxItems: 64,
      listType: 'map',
      mapKeys: ['name'],
      item: {
        type: 'object',
        text: 'One feature.',
        use: asWhole,
        fields: { name: text('Name of the feature.', { required: true }) },
      },
    },
  },
} as const satisfies ObjectField

const listener = {
  type: 'object',
  text: 'What became of one listener.',
  use: asWhole,
  fields: {
    name: sectionName('Name of the listener.', { required: true }),
    attachedRoutes: whole('How many routes are attached.', -int32 - 1, int32, { required: true }),
    conditions: { ...conditions, required: true },
    supportedKinds: {
      type: 'list',
      text: 'Kinds of routes that the listener takes.',
      use: asWhole,
      maxItems: 8,
      item: {
        type: 'object',
        text: 'One kind.',
        use: asWhole,
        fields: {
          group: groupOf('API group of the kind.', { default: gatewayGroup }),
          kind: kindName('The kind.', { required: true }),
        },
      },
    },
  },
} as const satisfies ObjectField

export const gatewayStatus = {
  type: 'object',
  text: 'What the mesh made of the gateway.',
  use: written,
  default: { conditions: pending('Accepted', 'Programmed') },
  fields: {
    addresses: {
      type: 'list',
      text: 'Addresses at which the gateway is reached.',
      use: written,
      maxItems: 16,
      item: {
        type: 'object',
        text: 'One address.',
        use: asWhole,
        fields: {
          type: addressFields.type,
          value: text('The address.', { required: true, minLength: 1, maxLength: 253 }),
        },
        rules: [addressShape],
      },
    },
    attachedListenerSets: whole('How many ListenerSets are attached.', -int32 - 1, int32),
    conditions: { ...conditions, default: pending('Accepted', 'Programmed') },
    listeners: {
      type: 'list',
      text: 'What became of each listener.',
      use: written,
      maxItems: 64,
      listType: 'map',
      mapKeys: ['name'],
      item: listener,
    },
  },
} as const satisfies ObjectField

const parent = {
  type: 'object',
  text: 'What one parent made of the route.',
  use: asWhole,
  fields: {
    parentRef: {
      type: 'object',
      text: 'The parent, as the route names it.',
      use: asWhole,
      required: true,
      fields: parentFields,
    },
    controllerName: controllerName('Who wrote this: culvert.dev/controller for the mesh.'),
    conditions: { ...conditions, required: true, minItems: 1 },
  },
} as const satisfies Field

/** RouteStatus, of all kinds of routes. */
export const routeStatus = {
  type: 'object',
  text: 'What the parents made of the route.',
  use: written,
  fields: {
    parents: {
      type: 'list',
      text: 'One entry for each parent and controller.',
      use: written,
      required: true,
      maxItems: 32,
      item: parent,
    },
  },
} as const satisfies ObjectField

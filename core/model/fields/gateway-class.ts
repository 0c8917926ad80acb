// GatewayClass (gateway.networking.k8s.io): which controller stands behind gateways of a class.
import { asWhole, enforced, ignored, type ObjectField, type ValueOf } from './field.ts'
import { controllerName, groupOf, kindName, namespaceName, objectName } from './gateway-parts.ts'
import { text } from './parts.ts'

export const gatewayClassSpec = {
  type: 'object',
  text: 'The controller of a class of gateways.',
  use: asWhole,
  required: true,
  fields: {
    controllerName: {
      ...controllerName('The controller: culvert.dev/waypoint for waypoints. It cannot be changed later.'),
      use: enforced('compile: Gateways of a class of culvert.dev/waypoint declare waypoints'),
    },
    description: text('What the class is for.', { maxLength: 64 }),
    parametersRef: {
      type: 'object',
      text: 'An object with settings for the class.',
      use: ignored('parametersRef is not read: Culvert has no settings for a class'),
      fields: {
        group: groupOf('API group of the object; empty for the core group.', { required: true }),
        kind: kindName('Kind of the object.', { required: true }),
        name: objectName('Name of the object.', { required: true }),
        namespace: namespaceName('Its namespace, where it has one.'),
      },
    },
  },
} as const satisfies ObjectField

export type GatewayClassSpec = ValueOf<typeof gatewayClassSpec>

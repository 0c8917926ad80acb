// References to backends in HTTPRoute and GRPCRoute. In the mesh they need no ReferenceGrant (GEP-1294). One that leads nowhere
// stays, so that its share of the requests is answered with 500.
import type { Backend } from '../../../core/model/routes.ts'
import { type Tell, unresolved } from './findings.ts'
import type { RoutedServices } from './services.ts'

export interface GatewayReference {
  readonly group?: string
  readonly kind?: string
  readonly name: string
  readonly namespace?: string
  readonly port?: number
}

export interface GatewayContext {
  /** Of the route. */
  readonly namespace: string
  readonly services: RoutedServices
  readonly tell: Tell
}

export function gatewayBackend(reference: GatewayReference, context: GatewayContext, where: string): Backend {
  const { group = '', kind = 'Service', name, namespace = context.namespace, port } = reference
  const invalid = (reason: string, text: string): Backend => {
    const message = `${where}: ${text}`
    context.tell(unresolved(reason, message))
    return { kind: 'invalid', status: 500, reason, message }
  }
  if (group !== '' || kind !== 'Service') {
    return invalid('InvalidKind', `${kind}${group === '' ? '' : `.${group}`} is no kind of backend; name a Service`)
  }
  const service = context.services.named(namespace, name)
  if (service === undefined) return invalid('BackendNotFound', `there is no Service ${namespace}/${name}`)
  if (port === undefined) return invalid('BackendNotFound', `no port of Service ${namespace}/${name} is named`)
  if (!service.ports.some((each) => each.port === port)) {
    const known = service.ports.map((each) => each.port).join(', ')
    return invalid('BackendNotFound', `Service ${namespace}/${name} has no port ${port}, only ${known || 'none'}`)
  }
  return { kind: 'service', service: service.key, hostname: service.hostname, port }
}

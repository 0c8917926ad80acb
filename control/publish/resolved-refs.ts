// Whether everything that an object names exists: the condition `ResolvedRefs`, computed by the rules of `culvert analyze` over the
// live mesh. Asked by the status writer.
import { findingsOf } from '../../core/analyze/analyze.ts'
import type { Inventory } from '../../core/analyze/inventory.ts'
import type { AnalysisCode } from '../../core/analyze/messages.ts'
import { formatPath } from '../../core/model/problem.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { Finding } from '../compile/conditions.ts'

/** Findings that mean a reference which leads nowhere, with the reason that the Gateway API has for it. */
const reasons: Readonly<Partial<Record<AnalysisCode, string>>> = {
  HostNotFound: 'BackendNotFound',
  SubsetNotFound: 'SubsetNotFound',
  PortNotFound: 'PortNotFound',
  PortAmbiguous: 'PortNotFound',
  ReferenceNotFound: 'ReferenceNotFound',
  ReferenceNotGranted: 'RefNotPermitted',
  GatewayNotFound: 'GatewayNotFound',
  GatewayClassNotFound: 'GatewayClassNotFound',
}

/** Kinds that name others. Services and workloads only ever are named. */
const naming: ReadonlySet<string> = new Set([
  'VirtualService',
  'DestinationRule',
  'AuthorizationPolicy',
  'RequestAuthentication',
  'Telemetry',
  'RateLimitPolicy',
  'Gateway',
  'HTTPRoute',
  'GRPCRoute',
  'TCPRoute',
  'TLSRoute',
])

/** Kinds whose coming and going can resolve a name or break it. */
const named: ReadonlySet<string> = new Set([
  ...naming,
  'Service',
  'ServiceEntry',
  'ReferenceGrant',
  'GatewayClass',
  'Namespace',
])

export class ResolvedRefs {
  readonly #inventory: Inventory

  /** @param inventory the live mesh, kept by somebody else */
  constructor(inventory: Inventory) {
    this.#inventory = inventory
  }

  /** Whether names of other objects may lead elsewhere where this one came, changed or went. */
  concerns({ kind }: MeshObject): boolean {
    return named.has(kind)
  }

  /** Undefined for kinds that name nothing. */
  conditionOf(object: MeshObject): Finding | undefined {
    if (!naming.has(object.kind)) return undefined
    const broken = findingsOf(object, this.#inventory).filter(({ code }) => reasons[code] !== undefined)
    const [first] = broken
    if (first === undefined) return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '' }
    const texts = broken.map(({ at, message }) => `${formatPath(at)}: ${message}`)
    const message = texts.join('; ').slice(0, 4096)
    return { type: 'ResolvedRefs', status: 'False', reason: reasons[first.code]!, message }
  }
}

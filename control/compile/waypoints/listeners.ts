// Listeners of a waypoint's Gateway: which of them the waypoint has. Istio writes one for all of them, and so do we. Asked by the
// compile step and by the status of Gateways.
import type { GatewaySpec } from '../../../core/model/fields/gateway.ts'
import type { LabelSelector } from '../../../core/model/label-selector.ts'
import { accepted, type Finding, notAccepted } from '../conditions.ts'

export type Listener = GatewaySpec['listeners'][number]

export const tunnelPort = 15008
const tunnelProtocol = 'HBONE'

/** Which namespaces may use the waypoint. */
export interface AllowedNamespaces {
  readonly from: 'All' | 'Selector' | 'Same'
  readonly selector?: LabelSelector
}

/** The condition Accepted of one listener. */
export function judgeListener({ protocol, port }: Listener): Finding {
  if (protocol !== tunnelProtocol) {
    const message = `protocol ${protocol}: a waypoint takes ${tunnelProtocol} on port ${tunnelPort}, whatever the applications speak`
    return notAccepted('UnsupportedProtocol', message)
  }
  if (port !== tunnelPort) return notAccepted('PortUnavailable', `port ${port}: a waypoint listens on ${tunnelPort}`)
  return accepted
}

/** The one that counts; undefined where the Gateway has none that a waypoint can have. */
export function waypointListener({ listeners }: Pick<GatewaySpec, 'listeners'>): Listener | undefined {
  return listeners.find((listener) => judgeListener(listener).status === 'True')
}

export function allowedNamespaces({ allowedRoutes }: Listener): AllowedNamespaces {
  const { from = 'Same', selector } = allowedRoutes?.namespaces ?? {}
  return { from, ...(selector === undefined ? {} : { selector: selector as LabelSelector }) }
}

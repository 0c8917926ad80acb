// The rules of all kinds, in the order in which they run: a rule sees what rules above it offer. A new kind is a file with its rules
// and a line for each of them here.
import { authorizationPolicyRule } from './authorization-policy.ts'
import { destinationRule, destinationVerdictRule } from './destinations/destination.ts'
import { namespaceOffer } from './namespace.ts'
import { peerAuthenticationOffer, peerAuthenticationRule } from './peer-authentication.ts'
import { rateLimitRule } from './rate-limits/rate-limit-policy.ts'
import { gatewayClaimRules, gatewayVerdictRules } from './routes/gateway-frontends.ts'
import { routedServiceOffer } from './routes/services.ts'
import { destinationRuleOffer } from './routes/subsets.ts'
import { routeTableRule } from './routes/table.ts'
import { delegateOffer, virtualClaimRule, virtualVerdictRule } from './routes/virtual-service.ts'
import type { Rule } from './rule.ts'
import { serviceOffer, serviceRule } from './service.ts'
import { uncapturedByMode, uncapturedByPolicy } from './uncaptured.ts'
import { namespaceWaypointRule } from './waypoints/attachment.ts'
import { gatewayClassOffer, gatewayRule } from './waypoints/gateway.ts'
import { workloadOffer, workloadRule } from './workload-entry.ts'

export const rules: readonly Rule[] = [
  namespaceOffer,
  gatewayClassOffer,
  gatewayRule,
  namespaceWaypointRule,
  serviceOffer,
  serviceRule,
  authorizationPolicyRule,
  peerAuthenticationOffer,
  peerAuthenticationRule,
  workloadOffer,
  workloadRule,
  uncapturedByPolicy,
  uncapturedByMode,
  routedServiceOffer,
  destinationRuleOffer,
  delegateOffer,
  ...gatewayClaimRules,
  virtualClaimRule,
  routeTableRule,
  ...gatewayVerdictRules,
  virtualVerdictRule,
  destinationRule,
  destinationVerdictRule,
  rateLimitRule,
]

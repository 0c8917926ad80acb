// Checks objects in the light of all others: what exists, what can be reached, what works other than it reads. Pure. `culvert
// analyze` asks for files and for the live mesh, the API for a single write.

import type { Path } from '../model/fields/field.ts'
import { ignoredFields } from '../model/ignored.ts'
import type { Problem } from '../model/problem.ts'
import type { MeshObject } from '../model/resource.ts'
import type { Finding, ObjectFinding } from './finding.ts'
import { Inventory, type InventorySettings } from './inventory.ts'
import type { AnalysisCode } from './messages.ts'
import type { Rule, RuleTable } from './rule.ts'
import { peerAuthenticationRules, placedRules, requestAuthenticationRules } from './rules/authentication.ts'
import { authorizationPolicyRules } from './rules/authorization-policy.ts'
import { destinationRuleRules } from './rules/destination-rule.ts'
import { gatewayRules, routeRules } from './rules/gateway-api.ts'
import { labels, namespace, serviceEntryRules, serviceRules } from './rules/inventory-kinds.ts'
import { referenceGrantRules } from './rules/referenced-kind.ts'
import { targetsBehindWaypoint } from './rules/routed-services.ts'
import { virtualServiceRules } from './rules/virtual-service.ts'

const rules: RuleTable = {
  Service: serviceRules,
  ServiceEntry: serviceEntryRules,
  AuthorizationPolicy: authorizationPolicyRules,
  PeerAuthentication: peerAuthenticationRules,
  RequestAuthentication: requestAuthenticationRules,
  Telemetry: placedRules,
  RateLimitPolicy: [...placedRules, targetsBehindWaypoint],
  VirtualService: virtualServiceRules,
  DestinationRule: destinationRuleRules,
  Gateway: gatewayRules,
  HTTPRoute: routeRules,
  GRPCRoute: routeRules,
  TCPRoute: routeRules,
  TLSRoute: routeRules,
  ReferenceGrant: referenceGrantRules,
}

const everyKind: readonly Rule[] = [namespace, labels]

/** What there is to say about valid objects, in their order. */
export function analyze(objects: readonly MeshObject[], settings: InventorySettings): readonly ObjectFinding[] {
  const inventory = new Inventory(settings)
  for (const object of objects) inventory.set(object)
  return objects.flatMap((object) => findingsOf(object, inventory).map((finding) => ({ ...finding, object })))
}

/** What there is to say about one object, which the inventory should hold. */
export function findingsOf(object: MeshObject, inventory: Inventory): readonly Finding[] {
  const found: Finding[] = []
  const report = (code: AnalysisCode, at: Path, message: string, remedy: string): void => {
    found.push({ code, at, message, remedy })
  }
  for (const rule of [...everyKind, ...(rules[object.kind] ?? [])]) rule({ object, inventory, report })
  for (const { at, path, text } of ignoredFields(object)) {
    if (path.startsWith('metadata.labels')) continue
    report('IgnoredField', at, text, 'nothing to do, unless the field was meant to work')
  }
  return found
}

/** A problem of validation, as a finding. */
export function findingOfProblem(problem: Problem): Finding {
  const { at = [], message } = problem
  const [what = message, hint] = message.split('; ', 2)
  switch (problem.reason) {
    case 'unknown':
      return {
        code: 'UnknownField',
        at,
        message: what,
        remedy: hint ?? 'remove the field, or correct its name and indentation',
      }
    case 'duplicate':
      return { code: 'Duplicate', at, message, remedy: 'keep one of them' }
    case 'required':
      return { code: 'Invalid', at, message, remedy: hint ?? 'add what is missing' }
    case 'unsupported':
      return { code: 'Invalid', at, message: what, remedy: hint ?? 'use one of the values that are served' }
    case 'type':
    case 'refused':
      return { code: 'Invalid', at, message: what, remedy: hint ?? 'correct the value' }
    default:
      if (problem.path === '') {
        return {
          code: 'Unreadable',
          at,
          message,
          remedy: 'correct the indentation and the punctuation here and just before',
        }
      }
      return { code: 'Invalid', at, message: what, remedy: hint ?? 'correct the value' }
  }
}

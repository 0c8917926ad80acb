// GRPCRoute (gateway.networking.k8s.io): which gRPC calls go to which backends, and what happens to them on the way.
import {
  asWhole,
  enforced,
  type FieldTable,
  type ListField,
  type ObjectField,
  type ObjectRule,
  type ValueOf,
} from './field.ts'
import { sectionName } from './gateway-parts.ts'
import { grpcHeaderMatches, headerChecks } from './http-matches.ts'
import { mostMatches, routeHostnames } from './http-route.ts'
import { text } from './parts.ts'
import { backendFields, backendRules, distinctRuleNames } from './route-backends.ts'
import { atMostOnce, filterRules, sharedFilterFields, sharedFilterTypes } from './route-filters.ts'
import { parentRefs, useDefaultGateways } from './route-parents.ts'
import { sessionPersistence } from './route-sessions.ts'
import { clip } from './rules.ts'
import { re2 } from './string-match.ts'

const filterFields = {
  type: {
    type: 'enum',
    text: 'What the filter does; the field of that name says how.',
    use: asWhole,
    required: true,
    values: Object.keys(sharedFilterTypes) as readonly (keyof typeof sharedFilterTypes)[],
  },
  ...sharedFilterFields,
} as const satisfies FieldTable

function grpcFilters(what: string) {
  return {
    type: 'list',
    text: what,
    use: asWhole,
    maxItems: 16,
    item: {
      type: 'object',
      text: 'One filter.',
      use: asWhole,
      fields: filterFields,
      rules: filterRules(sharedFilterTypes),
    },
    rules: [atMostOnce('RequestHeaderModifier'), atMostOnce('ResponseHeaderModifier')],
  } as const satisfies ListField
}

const servicePattern = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i
const methodPattern = /^[A-Za-z_][A-Za-z_0-9]*$/

/** A name that is compared exactly must be one that a call can have; a regular expression must be one. */
function named(field: 'service' | 'method', message: string, pattern: RegExp, example: string): ObjectRule {
  return {
    message,
    check: (match, report) => {
      const value = match[field]
      if (typeof value !== 'string') return
      if (match['type'] === 'RegularExpression') {
        const wrong = re2(value)
        if (wrong !== undefined) report([field], wrong)
      } else if (!pattern.test(value)) report([field], `"${clip(value)}" is not a name such as ${example}`)
    },
  }
}

const method = {
  type: 'object',
  text: 'Service and method of the call; every call where absent.',
  use: asWhole,
  fields: {
    type: {
      type: 'enum',
      text: 'How service and method are compared.',
      use: asWhole,
      values: ['Exact', 'RegularExpression'],
      default: 'Exact',
    },
    service: text('Name of the service with its package.', { maxLength: 1024 }),
    method: text('Name of the method.', { maxLength: 1024 }),
  },
  rules: [
    {
      message: "One or both of 'service' or 'method' must be specified",
      check: (match, report) => {
        if (match['service'] !== undefined || match['method'] !== undefined) return
        report([], 'needs service, method or both; remove it to match every call', 'required')
      },
    },
    named(
      'service',
      'service must only contain valid characters (matching ^(?i)\\.?[a-z_][a-z_0-9]*(\\.[a-z_][a-z_0-9]*)*$)',
      servicePattern,
      'shop.v1.Orders',
    ),
    named(
      'method',
      `method must only contain valid characters (matching ${methodPattern.source})`,
      methodPattern,
      'GetOrder',
    ),
  ],
} as const satisfies ObjectField

const rule = {
  type: 'object',
  text: 'One rule: matches, filters, backends.',
  use: asWhole,
  fields: {
    name: sectionName('Name of the rule, by which policies refer to it.'),
    matches: {
      type: 'list',
      text: 'Matches, any of which is enough; every call where absent.',
      use: asWhole,
      maxItems: 64,
      item: {
        type: 'object',
        text: 'One match; all that it names must hold.',
        use: asWhole,
        checks: headerChecks,
        fields: { method, headers: grpcHeaderMatches },
      },
    },
    filters: grpcFilters('What happens to calls of this rule.'),
    backendRefs: {
      type: 'list',
      text: 'Backends that share the calls; without any, calls fail with UNAVAILABLE.',
      use: asWhole,
      maxItems: 16,
      item: {
        type: 'object',
        text: 'One backend.',
        use: asWhole,
        rules: backendRules,
        fields: { ...backendFields, filters: grpcFilters('What happens to calls for this backend only.') },
      },
    },
    sessionPersistence,
  },
} as const satisfies ObjectField

export const grpcRouteSpec = {
  type: 'object',
  text: 'Routes for gRPC calls.',
  use: asWhole,
  required: true,
  fields: {
    parentRefs,
    useDefaultGateways,
    hostnames: routeHostnames,
    rules: {
      type: 'list',
      text: 'Rules; the most specific match of all rules counts.',
      use: enforced('waypoint: routes'),
      maxItems: 16,
      item: rule,
      rules: [mostMatches(0), distinctRuleNames],
    },
  },
} as const satisfies ObjectField

export type GrpcRouteSpec = ValueOf<typeof grpcRouteSpec>

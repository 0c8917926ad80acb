// HTTPRoute (gateway.networking.k8s.io): which HTTP requests go to which backends, and what happens to them on the way.
import { durationMs } from './duration.ts'
import {
  asWhole,
  enforced,
  ignored,
  type ListField,
  type ListRule,
  type ObjectField,
  type ObjectRule,
  type ValueOf,
} from './field.ts'
import { anyHost, gatewayDuration, sectionName } from './gateway-parts.ts'
import { httpFilters } from './http-filters.ts'
import { everyPath, httpMatches } from './http-matches.ts'
import { int32, whole } from './parts.ts'
import { backendFields, backendRules, distinctRuleNames } from './route-backends.ts'
import { parentRefs, useDefaultGateways } from './route-parents.ts'
import { sessionPersistence } from './route-sessions.ts'

type Values = Readonly<Record<string, unknown>>

const filtersOf = (value: Values): readonly Values[] => (value['filters'] ?? []) as readonly Values[]
const backendsOf = (rule: Values): readonly Values[] => (rule['backendRefs'] ?? []) as readonly Values[]

const redirectGoesNowhere: ObjectRule = {
  message: 'RequestRedirect filter must not be used together with backendRefs',
  check: (rule, report) => {
    const index = filtersOf(rule).findIndex((filter) => filter['requestRedirect'] !== undefined)
    if (index < 0 || backendsOf(rule).length === 0) return
    report(
      ['backendRefs'],
      `cannot be combined with the RequestRedirect of filters[${index}], which answers every request; keep one of the two`,
    )
  },
}

/** ReplacePrefixMatch needs to know which prefix matched. */
function prefixRule(message: string, field: string, within: boolean): ObjectRule {
  return {
    message,
    check: (rule, report) => {
      const lists = within
        ? backendsOf(rule).map((backend, index) => ({
            at: ['backendRefs', index, 'filters'],
            filters: filtersOf(backend),
          }))
        : [{ at: ['filters'], filters: filtersOf(rule) }]
      if (hasOnePrefix(rule)) return
      for (const { at, filters } of lists) {
        const index = filters.findIndex((filter) => replacesPrefix(filter[field]))
        if (index < 0) continue
        const message = 'needs to know the prefix that matched; give the rule exactly one match, of type PathPrefix'
        report([...at, index, field, 'path', 'replacePrefixMatch'], message)
      }
    },
  }
}

function replacesPrefix(filter: unknown): boolean {
  const { path } = (filter ?? {}) as { readonly path?: Values }
  return path?.['type'] === 'ReplacePrefixMatch' && path['replacePrefixMatch'] !== undefined
}

function hasOnePrefix(rule: Values): boolean {
  const matches = (rule['matches'] ?? [{}]) as readonly { readonly path?: Values }[]
  return matches.length === 1 && (matches[0]?.path?.['type'] ?? 'PathPrefix') === 'PathPrefix'
}

const rulesOfRule: readonly ObjectRule[] = [
  redirectGoesNowhere,
  prefixRule(
    'When using RequestRedirect filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified',
    'requestRedirect',
    false,
  ),
  prefixRule(
    'When using URLRewrite filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified',
    'urlRewrite',
    false,
  ),
  prefixRule(
    'Within backendRefs, when using RequestRedirect filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified',
    'requestRedirect',
    true,
  ),
  prefixRule(
    'Within backendRefs, When using URLRewrite filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified',
    'urlRewrite',
    true,
  ),
]

const backendRefs = {
  type: 'list',
  text: 'Backends that share the requests; without any, requests are answered with 500.',
  use: asWhole,
  maxItems: 16,
  item: {
    type: 'object',
    text: 'One backend.',
    use: asWhole,
    rules: backendRules,
    fields: { ...backendFields, filters: httpFilters('What happens to requests for this backend only.') },
  },
} as const satisfies ListField

const timeouts = {
  type: 'object',
  text: 'How long requests may take.',
  use: asWhole,
  fields: {
    request: gatewayDuration('The whole request with its retries; 0s for no limit.'),
    backendRequest: gatewayDuration('One try; 0s for no limit.'),
  },
  rules: [
    {
      message: 'backendRequest timeout cannot be longer than request timeout',
      check: ({ request, backendRequest }, report) => {
        const [all, each] = [durationMs(String(request ?? '')), durationMs(String(backendRequest ?? ''))]
        if (all === undefined || each === undefined || all === 0 || each <= all) return
        report(
          ['backendRequest'],
          `${String(backendRequest)} is longer than the whole request may take (${String(request)})`,
        )
      },
    },
  ],
} as const satisfies ObjectField

const retry = {
  type: 'object',
  text: 'When requests are tried again.',
  use: asWhole,
  fields: {
    attempts: whole('How many further tries.', 1, int32),
    backoff: gatewayDuration('The shortest pause before a further try.'),
    codes: {
      type: 'list',
      text: 'Statuses of answers after which the request is tried again.',
      use: asWhole,
      listType: 'set',
      item: whole('One status.', 400, 599),
    },
  },
} as const satisfies ObjectField

const rule = {
  type: 'object',
  text: 'One rule: matches, filters, backends.',
  use: asWhole,
  rules: rulesOfRule,
  fields: {
    name: sectionName('Name of the rule, by which policies refer to it.'),
    matches: httpMatches,
    filters: httpFilters('What happens to requests of this rule.'),
    backendRefs,
    timeouts,
    retry,
    sessionPersistence,
  },
} as const satisfies ObjectField

/** @param absent how many matches a rule without `matches` counts: those of the default */
export function mostMatches(absent: 0 | 1): ListRule {
  return {
    message:
      'While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128',
    check: (rules, report) => {
      const counts = rules.map(({ matches }) => (matches as readonly unknown[] | undefined)?.length ?? absent)
      const sum = counts.reduce<number>((total, count) => total + count, 0)
      if (sum > 128) report([], `have ${sum} matches in all, at most 128 are allowed; split the route in two`)
    },
  }
}

export const routeHostnames = {
  type: 'list',
  text: 'Host names of requests that the route is for; any where absent.',
  use: ignored(
    'hostnames have no effect: within the mesh the Service that a request goes to decides, not its Host header',
  ),
  maxItems: 16,
  item: anyHost('One host name, which may begin with "*.".'),
} as const satisfies ListField

export const httpRouteSpec = {
  type: 'object',
  text: 'Routes for HTTP requests.',
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
      minItems: 1,
      maxItems: 16,
      default: [{ matches: [{ path: everyPath }] }],
      item: rule,
      rules: [mostMatches(1), distinctRuleNames],
    },
  },
} as const satisfies ObjectField

export type HttpRouteSpec = ValueOf<typeof httpRouteSpec>

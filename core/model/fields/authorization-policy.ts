// AuthorizationPolicy (security.istio.io): who may talk to whom. Says for every field whether layer 4 can decide it; the compile
// step asks `needsLayer7` and `conditionAttribute` and fails closed where it cannot.

import { conditionAttribute, conditionKey, conditionValues } from './condition.ts'
import {
  asWhole,
  enforced,
  type Field,
  type FieldTable,
  ignored,
  type ListField,
  layer7,
  type ObjectCheck,
  type ObjectField,
  refused,
  type ValueCheck,
  type ValueOf,
} from './field.ts'
import { identityPattern, notBlank, pathTemplate, serviceAccountName, stringPattern } from './patterns.ts'
import { addressBlock, item, portText } from './rules.ts'
import { workloadSelector } from './selector.ts'

const atLayer4 = enforced('decide/authorize: every proxy')

function values<Use extends Field['use']>(text: string, use: Use, check: ValueCheck<string>, maxItems = 4096) {
  return { type: 'list', text, use, item: item(check), minItems: 1, maxItems } as const satisfies ListField
}

const needsHttp = (what: string) =>
  layer7(`${what} needs layer 7: it is decided by a waypoint, not by the layer-4 proxies`)

const sourceFields = {
  principals: values('Identities without "spiffe://"; exact, "a*", "*a" or "*".', atLayer4, identityPattern),
  notPrincipals: values('Identities that do not match.', atLayer4, identityPattern),
  namespaces: values('Namespaces of the caller.', atLayer4, stringPattern),
  notNamespaces: values('Namespaces that do not match.', atLayer4, stringPattern),
  serviceAccounts: values('Service accounts, "namespace/name" or "name".', atLayer4, serviceAccountName, 16),
  notServiceAccounts: values('Service accounts that do not match.', atLayer4, serviceAccountName, 16),
  ipBlocks: values('Addresses of the caller as it appears on the connection.', atLayer4, addressBlock),
  notIpBlocks: values('Addresses that do not match.', atLayer4, addressBlock),
  trustDomains: values('Trust domains of the caller.', layer7('trustDomains is not decided at layer 4'), stringPattern),
  notTrustDomains: values(
    'Trust domains that do not match.',
    layer7('notTrustDomains is not decided at layer 4'),
    stringPattern,
  ),
  requestPrincipals: values('Issuer and subject of the JWT.', needsHttp('requestPrincipals'), stringPattern),
  notRequestPrincipals: values('JWTs that do not match.', needsHttp('notRequestPrincipals'), stringPattern),
  remoteIpBlocks: values('Original client by X-Forwarded-For.', needsHttp('remoteIpBlocks'), addressBlock),
  notRemoteIpBlocks: values('Original clients that do not match.', needsHttp('notRemoteIpBlocks'), addressBlock),
} as const satisfies FieldTable

const operationFields = {
  ports: values('Ports of the workload, as text.', atLayer4, portText),
  notPorts: values('Ports that do not match.', atLayer4, portText),
  hosts: values('Host header.', needsHttp('hosts'), notBlank),
  notHosts: values('Hosts that do not match.', needsHttp('notHosts'), notBlank),
  methods: values('HTTP methods.', needsHttp('methods'), notBlank),
  notMethods: values('Methods that do not match.', needsHttp('notMethods'), notBlank),
  paths: values('Request paths.', needsHttp('paths'), pathTemplate),
  notPaths: values('Paths that do not match.', needsHttp('notPaths'), pathTemplate),
} as const satisfies FieldTable

/** An empty source or operation would match everybody: Istio refuses it, and so do we. */
const hasOne: ObjectCheck = (value, report) => {
  if (Object.keys(value).length === 0) report([], 'is empty and would match everything: set at least one field')
}

/** Istio's rule: a service account names its namespace already. */
const serviceAccountsAlone: ObjectCheck = (source, report) => {
  const accounts = ['serviceAccounts', 'notServiceAccounts'].find((name) => source[name] !== undefined)
  const other = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'].find(
    (name) => source[name] !== undefined,
  )
  if (accounts !== undefined && other !== undefined) report([accounts], `cannot be combined with ${other}`)
}

const conditionFields = {
  key: {
    type: 'string',
    text: 'Name of the attribute, for example source.ip or request.headers[x-user].',
    required: true,
    check: conditionKey,
    use: enforced('decide/authorize', (value) => {
      const attribute = typeof value === 'string' ? conditionAttribute(value) : undefined
      return attribute?.layer === 7 ? `the condition "${value}" needs layer 7` : undefined
    }),
  },
  values: values('Values of which one must match.', atLayer4, notBlank),
  notValues: values('Values of which none may match.', atLayer4, notBlank),
} as const satisfies FieldTable

const rule = {
  type: 'object',
  text: 'Matches where one source, one operation and all conditions match; an empty rule matches everything.',
  use: asWhole,
  fields: {
    from: {
      type: 'list',
      text: 'Sources, of which one must match.',
      use: atLayer4,
      minItems: 1,
      maxItems: 512,
      item: {
        type: 'object',
        text: 'One source.',
        use: asWhole,
        fields: {
          source: {
            type: 'object',
            text: 'All fields that are set must match.',
            use: atLayer4,
            required: true,
            fields: sourceFields,
            checks: [hasOne, serviceAccountsAlone],
          },
        },
      },
    },
    to: {
      type: 'list',
      text: 'Operations, of which one must match.',
      use: atLayer4,
      minItems: 1,
      maxItems: 512,
      item: {
        type: 'object',
        text: 'One operation.',
        use: asWhole,
        fields: {
          operation: {
            type: 'object',
            text: 'All fields that are set must match.',
            use: atLayer4,
            required: true,
            fields: operationFields,
            checks: [hasOne],
          },
        },
      },
    },
    when: {
      type: 'list',
      text: 'Conditions, all of which must match.',
      use: atLayer4,
      item: {
        type: 'object',
        text: 'One condition.',
        use: asWhole,
        fields: conditionFields,
        checks: [conditionValues],
      },
    },
  },
} as const satisfies ObjectField

/** Istio's checks: a policy that can never fire is a mistake, and CUSTOM needs somebody to ask. */
const actionFits: ObjectCheck = (spec, report) => {
  const action = (spec['action'] as string | undefined) ?? 'ALLOW'
  const hasRules = ((spec['rules'] as readonly unknown[] | undefined)?.length ?? 0) > 0
  if (action !== 'ALLOW' && !hasRules) {
    report(
      ['rules'],
      `are required for ${action}, which would never match; write "rules: [{}]" to match everything`,
      'required',
    )
  }
  if (action === 'CUSTOM' && (spec['provider'] as { name?: string } | undefined)?.name === undefined) {
    report(['provider', 'name'], 'is required for CUSTOM', 'required')
  }
  if (action !== 'CUSTOM' && spec['provider'] !== undefined) report(['provider'], 'is allowed only with action CUSTOM')
}

const targetText = 'attaches the policy to a waypoint, which this version does not have: use selector, or leave it out'
const targetPart = { type: 'string', text: 'Part of the reference.', use: asWhole } as const
const targetFields = {
  group: targetPart,
  kind: { ...targetPart, required: true },
  name: { ...targetPart, required: true },
  namespace: targetPart,
} as const satisfies FieldTable

const actionExceptions: Readonly<Record<string, string>> = {
  AUDIT: 'AUDIT is not enforced: nothing is recorded for this policy',
  CUSTOM: 'CUSTOM is enforced as DENY: the provider is not asked, what the rules match is refused',
}

export const authorizationPolicySpec = {
  type: 'object',
  text: 'Who may talk to the selected workloads.',
  use: asWhole,
  checks: [actionFits],
  fields: {
    selector: workloadSelector,
    action: {
      type: 'enum',
      text: 'What happens to connections that a rule matches; ALLOW where absent.',
      use: enforced('decide/authorize', (value) => actionExceptions[String(value)]),
      values: ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'],
    },
    rules: {
      type: 'list',
      text: 'Rules, of which one must match. An ALLOW policy without rules allows nothing.',
      use: atLayer4,
      maxItems: 512,
      item: rule,
    },
    provider: {
      type: 'object',
      text: 'External authorizer of a CUSTOM policy.',
      use: ignored('the external authorizer is not asked: the policy denies what its rules match'),
      fields: { name: { type: 'string', text: 'Name of the extension provider.', use: asWhole, check: notBlank } },
    },
    targetRef: { type: 'object', text: 'Older form of targetRefs.', use: refused(targetText), fields: targetFields },
    targetRefs: {
      type: 'list',
      text: 'Gateways or Services whose waypoint enforces the policy.',
      use: refused(targetText),
      maxItems: 16,
      item: { type: 'object', text: 'One target.', use: asWhole, fields: targetFields },
    },
  },
} as const satisfies ObjectField

export type AuthorizationPolicySpec = ValueOf<typeof authorizationPolicySpec>
export type AuthorizationPolicyRule = ValueOf<typeof rule>
export type AuthorizationPolicySource = ValueOf<(typeof rule)['fields']['from']['item']['fields']['source']>
export type AuthorizationPolicyOperation = ValueOf<(typeof rule)['fields']['to']['item']['fields']['operation']>

/** Whether a field of a rule's `source` or `operation` cannot be decided at layer 4. Unknown fields cannot either. */
export function needsLayer7(part: 'source' | 'operation', field: string): boolean {
  const table: FieldTable = part === 'source' ? sourceFields : operationFields
  return !Object.hasOwn(table, field) || table[field]!.use.kind !== 'enforced'
}

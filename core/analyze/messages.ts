// What the analyzer can say: one row per message, with its severity. docs/ANALYZE.md is written from the table; rules/ name the codes.

export type Severity = 'error' | 'warning' | 'info'

interface MessageRow {
  readonly severity: Severity
  readonly text: string
}

/** By code. An error is something that cannot work as written; a warning works other than its author is likely to mean. */
export const analysisMessages = {
  Unreadable: { severity: 'error', text: 'The file is not YAML or JSON, or not a resource that is served.' },
  UnknownField: { severity: 'error', text: 'A field that the kind does not have: it would be dropped or refused.' },
  Invalid: { severity: 'error', text: 'A value that is missing, of the wrong type or not allowed.' },
  Duplicate: { severity: 'error', text: 'The same object, name or address is there twice.' },
  NamespaceNotFound: { severity: 'error', text: 'The namespace of an object, or one that it names, does not exist.' },
  HostNotFound: { severity: 'error', text: 'A host names no Service and no ServiceEntry.' },
  HostNotQualified: {
    severity: 'warning',
    text: 'A host like "orders.shop" is taken as a complete name, not as a Service.',
  },
  PortNotFound: { severity: 'error', text: 'A port that the service or the workloads do not have.' },
  PortAmbiguous: { severity: 'error', text: 'A service with several ports is named without one.' },
  SubsetNotFound: { severity: 'error', text: 'A subset that no DestinationRule of the host defines.' },
  SubsetSelectsNothing: { severity: 'warning', text: 'No workload behind the host has the labels of a subset.' },
  SelectorMatchesNothing: { severity: 'warning', text: 'No workload has the labels of a selector.' },
  WeightsNotHundred: { severity: 'warning', text: 'Weights do not add up to 100: the shares are other than written.' },
  WeightsZero: { severity: 'error', text: 'All weights are 0: nothing can be chosen.' },
  RouteUnreachable: { severity: 'warning', text: 'An earlier rule takes everything that this rule matches.' },
  HostConflict: { severity: 'warning', text: 'Another object says something else for the same host.' },
  PolicyConflict: { severity: 'warning', text: 'Another policy makes this one pointless or contradicts it.' },
  GatewayNotFound: { severity: 'error', text: 'A gateway that does not exist.' },
  GatewayClassNotFound: { severity: 'error', text: 'A gateway class that does not exist.' },
  RouteNotAllowed: {
    severity: 'error',
    text: 'The gateway does not take routes of this namespace, kind or host name, or is a waypoint, which takes none.',
  },
  WaypointNotFound: { severity: 'error', text: 'A label asks for a waypoint that does not exist.' },
  WaypointNotAllowed: {
    severity: 'error',
    text: 'A label asks for a waypoint of another namespace, whose Gateway does not allow that.',
  },
  WaypointWithoutInstances: { severity: 'warning', text: 'A Gateway declares a waypoint that nobody serves.' },
  ReferenceNotFound: { severity: 'error', text: 'Another object that is named does not exist.' },
  ReferenceNotGranted: {
    severity: 'error',
    text: 'A reference into another namespace without a ReferenceGrant there.',
  },
  PrincipalNeverMatches: { severity: 'error', text: 'A principal in a form that no workload has.' },
  PrincipalNotFound: { severity: 'warning', text: 'No workload has the identity that a policy names.' },
  PathNeverMatches: { severity: 'error', text: 'A path or method in a form that no request has.' },
  NeedsWaypoint: {
    severity: 'warning',
    text: 'Only a waypoint does what the object says, and none stands in front of its Service or workloads.',
  },
  TokenNotRequired: { severity: 'warning', text: 'Tokens are checked, but requests without one pass.' },
  MutualTlsConflict: { severity: 'warning', text: 'A TLS setting works against the mutual TLS of the mesh.' },
  RetryOutlivesTimeout: {
    severity: 'warning',
    text: 'The time for one try is longer than that for the whole request.',
  },
  LabelMisspelt: { severity: 'warning', text: 'A label of the mesh with a name or value that has no effect.' },
  SidecarLabel: { severity: 'warning', text: 'A label for sidecar injection: this mesh has no sidecars.' },
  IgnoredField: { severity: 'info', text: 'A field that is accepted without effect.' },
} as const satisfies Readonly<Record<string, MessageRow>>

export type AnalysisCode = keyof typeof analysisMessages

const order: readonly Severity[] = ['info', 'warning', 'error']

export function severityOf(code: AnalysisCode): Severity {
  return analysisMessages[code].severity
}

/** Whether `severity` is at least as severe as `least`. */
export function reaches(severity: Severity, least: Severity): boolean {
  return order.indexOf(severity) >= order.indexOf(least)
}

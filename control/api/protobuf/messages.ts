// The messages that kubectl from 1.32 on sends as Protocol Buffers whatever it was told: `create namespace|service|…` and the
// reviews of `auth`. Field numbers are those of Kubernetes' generated.proto files. decode.ts reads by them.

/**
 * How a field is read. `x` is left out where it is empty, as a proto2 message of Kubernetes carries every field that is no pointer;
 * `x?` stands as it is; a table is a message; one in a list is repeated.
 */
export type FieldType =
  | 'string'
  | 'string?'
  | 'number'
  | 'number?'
  | 'bool'
  | 'bool?'
  | 'strings'
  | 'string-map'
  | 'bytes-map'
  | 'time'
  | 'int-or-string'
  | MessageTable
  | readonly [MessageTable]

/** By field number. */
export interface MessageTable {
  readonly [field: number]: readonly [name: string, type: FieldType]
}

const ownerReference: MessageTable = {
  1: ['kind', 'string'],
  3: ['name', 'string'],
  4: ['uid', 'string'],
  5: ['apiVersion', 'string'],
  6: ['controller', 'bool?'],
  7: ['blockOwnerDeletion', 'bool?'],
}

const metadata: MessageTable = {
  1: ['name', 'string'],
  2: ['generateName', 'string'],
  3: ['namespace', 'string'],
  4: ['selfLink', 'string'],
  5: ['uid', 'string'],
  6: ['resourceVersion', 'string'],
  7: ['generation', 'number'],
  8: ['creationTimestamp', 'time'],
  9: ['deletionTimestamp', 'time'],
  10: ['deletionGracePeriodSeconds', 'number?'],
  11: ['labels', 'string-map'],
  12: ['annotations', 'string-map'],
  13: ['ownerReferences', [ownerReference]],
  14: ['finalizers', 'strings'],
}

const servicePort: MessageTable = {
  1: ['name', 'string'],
  2: ['protocol', 'string'],
  3: ['port', 'number'],
  4: ['targetPort', 'int-or-string'],
  5: ['nodePort', 'number'],
  6: ['appProtocol', 'string?'],
}

const serviceSpec: MessageTable = {
  1: ['ports', [servicePort]],
  2: ['selector', 'string-map'],
  3: ['clusterIP', 'string'],
  4: ['type', 'string'],
  5: ['externalIPs', 'strings'],
  7: ['sessionAffinity', 'string'],
  8: ['loadBalancerIP', 'string'],
  9: ['loadBalancerSourceRanges', 'strings'],
  10: ['externalName', 'string'],
  11: ['externalTrafficPolicy', 'string'],
  12: ['healthCheckNodePort', 'number'],
  13: ['publishNotReadyAddresses', 'bool'],
  14: ['sessionAffinityConfig', { 1: ['clientIP', { 1: ['timeoutSeconds', 'number?'] }] }],
  17: ['ipFamilyPolicy', 'string?'],
  18: ['clusterIPs', 'strings'],
  19: ['ipFamilies', 'strings'],
  20: ['allocateLoadBalancerNodePorts', 'bool?'],
  21: ['loadBalancerClass', 'string?'],
  22: ['internalTrafficPolicy', 'string?'],
  23: ['trafficDistribution', 'string?'],
}

const objectReference: MessageTable = {
  1: ['kind', 'string'],
  2: ['namespace', 'string'],
  3: ['name', 'string'],
  4: ['uid', 'string'],
  5: ['apiVersion', 'string'],
  6: ['resourceVersion', 'string'],
  7: ['fieldPath', 'string'],
}

const resourceAttributes: MessageTable = {
  1: ['namespace', 'string'],
  2: ['verb', 'string'],
  3: ['group', 'string'],
  4: ['version', 'string'],
  5: ['resource', 'string'],
  6: ['subresource', 'string'],
  7: ['name', 'string'],
}

const accessReviewSpec: MessageTable = {
  1: ['resourceAttributes', resourceAttributes],
  2: ['nonResourceAttributes', { 1: ['path', 'string'], 2: ['verb', 'string'] }],
}

const deleteOptions: MessageTable = {
  1: ['gracePeriodSeconds', 'number?'],
  2: ['preconditions', { 1: ['uid', 'string?'], 2: ['resourceVersion', 'string?'] }],
  3: ['orphanDependents', 'bool?'],
  4: ['propagationPolicy', 'string?'],
  5: ['dryRun', 'strings'],
}

/** By `apiVersion kind`. Status is not read: the server writes it. */
export const messages: Readonly<Record<string, MessageTable>> = {
  'v1 Namespace': { 1: ['metadata', metadata], 2: ['spec', { 1: ['finalizers', 'strings'] }] },
  'v1 Service': { 1: ['metadata', metadata], 2: ['spec', serviceSpec] },
  'v1 ServiceAccount': {
    1: ['metadata', metadata],
    2: ['secrets', [objectReference]],
    3: ['imagePullSecrets', [{ 1: ['name', 'string'] }]],
    4: ['automountServiceAccountToken', 'bool?'],
  },
  'v1 ConfigMap': {
    1: ['metadata', metadata],
    2: ['data', 'string-map'],
    3: ['binaryData', 'bytes-map'],
    4: ['immutable', 'bool?'],
  },
  'v1 Secret': {
    1: ['metadata', metadata],
    2: ['data', 'bytes-map'],
    3: ['type', 'string'],
    4: ['stringData', 'string-map'],
    5: ['immutable', 'bool?'],
  },
  'v1 DeleteOptions': deleteOptions,
  'meta.k8s.io/v1 DeleteOptions': deleteOptions,
  'authentication.k8s.io/v1 SelfSubjectReview': { 1: ['metadata', metadata] },
  'authorization.k8s.io/v1 SelfSubjectAccessReview': { 1: ['metadata', metadata], 2: ['spec', accessReviewSpec] },
  'authorization.k8s.io/v1 SelfSubjectRulesReview': {
    1: ['metadata', metadata],
    2: ['spec', { 1: ['namespace', 'string'] }],
  },
}

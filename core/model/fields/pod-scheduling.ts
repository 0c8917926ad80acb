// On which node a pod runs: affinity, tolerations, spreading, claims of devices. pod.ts reads it.
import { choice, labelSelector, list, listBy, orEmpty, part } from './core-parts.ts'
import type { FieldTable, ObjectCheck } from './field.ts'
import { int32, labels, oneOf, text, texts, whole } from './parts.ts'
import { dnsLabel, dnsSubdomain, labelValue, qualifiedName } from './rules.ts'

const valuesFit: ObjectCheck = (requirement, report) => {
  const { operator, values = [] } = requirement as { operator: string; values?: readonly string[] }
  const single = operator === 'Gt' || operator === 'Lt'
  if ((operator === 'In' || operator === 'NotIn') && values.length === 0)
    report(['values'], `are required for operator ${operator}`, 'required')
  if (single && values.length !== 1) report(['values'], `must be one number for operator ${operator}`)
  if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0)
    report(['values'], `must be absent for operator ${operator}`)
}

const nodeRequirement = part(
  'One condition.',
  {
    key: text('Label, or field of the node.', { required: true, check: qualifiedName }),
    operator: choice('How the values are compared.', ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'], {
      required: true,
    }),
    values: texts('Values to compare with.'),
  },
  { checks: [valuesFit] },
)

const nodeTerm = part(
  'Conditions that must hold together.',
  {
    matchExpressions: list('Conditions on labels.', nodeRequirement),
    matchFields: list('Conditions on fields.', nodeRequirement),
  },
  { atomic: true },
)

const weight = whole('How much it counts, 1 to 100.', 1, 100, { required: true })

const podTerm = part('Pods, and the place where they run.', {
  labelSelector: labelSelector('The pods.'),
  namespaceSelector: labelSelector('The namespaces of the pods.'),
  namespaces: texts('Names of the namespaces of the pods.', dnsLabel),
  topologyKey: text('Label of nodes that makes them one place.', { required: true, check: qualifiedName }),
  matchLabelKeys: texts('Labels of this pod that the others must share.', qualifiedName),
  mismatchLabelKeys: texts('Labels of this pod that the others must not share.', qualifiedName),
})

const hard = 'requiredDuringSchedulingIgnoredDuringExecution'
const soft = 'preferredDuringSchedulingIgnoredDuringExecution'

const podAffinity = (what: string) =>
  part(what, {
    [hard]: list('What must hold.', podTerm),
    [soft]: list('What should hold.', part('One wish.', { weight, podAffinityTerm: { ...podTerm, required: true } })),
  })

const affinity = part('What draws the pod to nodes and other pods.', {
  nodeAffinity: part('Nodes that it wants.', {
    [hard]: part(
      'Nodes that it must have.',
      { nodeSelectorTerms: list('Any of them is enough.', nodeTerm, { required: true, minItems: 1 }) },
      { atomic: true },
    ),
    [soft]: list(
      'Nodes that it would like.',
      part('One wish.', { weight, preference: { ...nodeTerm, required: true } }),
    ),
  }),
  podAffinity: podAffinity('Pods that it wants to be near.'),
  podAntiAffinity: podAffinity('Pods that it wants to be away from.'),
})

const tolerationFits: ObjectCheck = (toleration, report) => {
  const { key = '', operator = 'Equal', value = '' } = toleration as Readonly<Record<string, string | undefined>>
  if (operator === 'Exists' && value !== '') report(['value'], 'must be absent for operator Exists')
  if (key === '' && operator !== 'Exists') report(['operator'], 'must be Exists where no key is named')
  if (toleration['tolerationSeconds'] !== undefined && toleration['effect'] !== 'NoExecute')
    report(['tolerationSeconds'], 'is for effect NoExecute only')
}

const toleration = part(
  'One taint.',
  {
    key: text('Key of the taint; all where absent.', { check: orEmpty(qualifiedName) }),
    operator: choice('How the value is compared.', ['Equal', 'Exists', 'Lt', 'Gt']),
    value: text('Value of the taint.', { check: orEmpty(labelValue) }),
    effect: choice('Effect of the taint; all where absent.', ['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
    tolerationSeconds: whole('Seconds for which it is tolerated.', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  },
  { checks: [tolerationFits] },
)

const spread = part('One rule.', {
  maxSkew: whole('By how many pods places may differ.', 1, int32, { required: true }),
  topologyKey: text('Label of nodes that makes them one place.', { required: true, check: qualifiedName }),
  whenUnsatisfiable: choice('What happens where it cannot be kept.', ['DoNotSchedule', 'ScheduleAnyway'], {
    required: true,
  }),
  labelSelector: labelSelector('The pods that are counted.'),
  matchLabelKeys: texts('Labels of this pod that the counted ones share.', qualifiedName),
  minDomains: whole('How many places there are at least.', 1, int32),
  nodeAffinityPolicy: choice('Whether nodeAffinity limits the places.', ['Honor', 'Ignore']),
  nodeTaintsPolicy: choice('Whether taints limit the places.', ['Honor', 'Ignore']),
})

const claim = part(
  'One claim.',
  {
    name: text('Name, by which containers call it.', { required: true, check: dnsLabel }),
    resourceClaimName: text('A ResourceClaim of the namespace.', { check: dnsSubdomain }),
    resourceClaimTemplateName: text('A template of claims.', { check: dnsSubdomain }),
  },
  { checks: [oneOf('resourceClaimName', 'resourceClaimTemplateName').check] },
)

export const schedulingFields = {
  nodeName: text('Node on which the pod runs.', { check: orEmpty(dnsSubdomain) }),
  nodeSelector: { ...labels('Labels that the node must carry.'), atomic: true },
  affinity,
  tolerations: list('Taints of nodes that do not matter.', toleration),
  topologySpreadConstraints: listBy('topologyKey', 'How pods are spread.', spread, [
    'topologyKey',
    'whenUnsatisfiable',
  ]),
  schedulerName: text('Who chooses the node.', { default: 'default-scheduler' }),
  schedulingGates: listBy(
    'name',
    'What must be gone before a node is chosen.',
    part('One gate.', { name: text('Name of the gate.', { required: true, check: qualifiedName }) }),
  ),
  schedulingGroup: part('Pods that start together.', {
    podGroupName: text('Name of the group.', { check: dnsSubdomain }),
  }),
  priorityClassName: text('Class of the priority.', { check: orEmpty(dnsSubdomain) }),
  priority: whole('Priority; set from the class.', -2_147_483_648, int32),
  preemptionPolicy: choice('Whether it may take the place of others.', ['PreemptLowerPriority', 'Never']),
  resourceClaims: listBy('name', 'Claims of devices.', claim),
} as const satisfies FieldTable

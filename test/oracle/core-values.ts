// What the client's models do not say of Kubernetes' own kinds: values of enumerations, how lists are told apart and merged, and
// amounts. Transcribed from the Kubernetes API reference; by `Model.field`. core-models.ts reads it.

const words = (text: string): string => `enum ${text.split(' ').sort().join('|')}`

const pullPolicies = words('Always IfNotPresent Never')
const restartPolicies = words('Always OnFailure Never')
const lastWords = words('File FallbackToLogsOnError')
const protocols = words('TCP UDP SCTP')
const conditionStatuses = words('True False Unknown')
const profiles = words('Localhost RuntimeDefault Unconfined')
const effects = words('NoSchedule PreferNoSchedule NoExecute')
const nodePolicies = words('Honor Ignore')

export const coreEnums: Readonly<Record<string, string>> = {
  'V1Container.imagePullPolicy': pullPolicies,
  'V1Container.restartPolicy': restartPolicies,
  'V1Container.terminationMessagePolicy': lastWords,
  'V1EphemeralContainer.imagePullPolicy': pullPolicies,
  'V1EphemeralContainer.restartPolicy': restartPolicies,
  'V1EphemeralContainer.terminationMessagePolicy': lastWords,
  'V1ContainerPort.protocol': protocols,
  'V1ContainerResizePolicy.restartPolicy': words('NotRequired RestartContainer'),
  'V1ContainerRestartRule.action': words('Restart RestartAllContainers'),
  'V1ContainerRestartRuleOnExitCodes.operator': words('In NotIn'),
  'V1HTTPGetAction.scheme': words('HTTP HTTPS'),
  'V1VolumeMount.mountPropagation': words('None HostToContainer Bidirectional'),
  'V1VolumeMount.recursiveReadOnly': words('Disabled IfPossible Enabled'),
  'V1SecurityContext.procMount': words('Default Unmasked'),
  'V1SeccompProfile.type': profiles,
  'V1AppArmorProfile.type': profiles,
  'V1PodSecurityContext.fsGroupChangePolicy': words('Always OnRootMismatch'),
  'V1PodSecurityContext.seLinuxChangePolicy': words('MountOption Recursive'),
  'V1PodSecurityContext.supplementalGroupsPolicy': words('Merge Strict'),
  'V1PodSpec.dnsPolicy': words('ClusterFirst ClusterFirstWithHostNet Default None'),
  'V1PodSpec.restartPolicy': restartPolicies,
  'V1PodSpec.preemptionPolicy': words('PreemptLowerPriority Never'),
  'V1Toleration.operator': words('Equal Exists Lt Gt'),
  'V1Toleration.effect': effects,
  'V1Taint.effect': effects,
  'V1TopologySpreadConstraint.whenUnsatisfiable': words('DoNotSchedule ScheduleAnyway'),
  'V1TopologySpreadConstraint.nodeAffinityPolicy': nodePolicies,
  'V1TopologySpreadConstraint.nodeTaintsPolicy': nodePolicies,
  'V1NodeSelectorRequirement.operator': words('In NotIn Exists DoesNotExist Gt Lt'),
  'V1LabelSelectorRequirement.operator': words('In NotIn Exists DoesNotExist'),
  'V1PodStatus.phase': words('Pending Running Succeeded Failed Unknown'),
  'V1PodStatus.qosClass': words('Guaranteed Burstable BestEffort'),
  'V1PodCondition.status': conditionStatuses,
  'V1NodeCondition.status': conditionStatuses,
  'V1NodeStatus.phase': words('Pending Running Terminated'),
  'CoreV1EndpointPort.protocol': protocols,
  'DiscoveryV1EndpointPort.protocol': protocols,
  'V1EndpointSlice.addressType': words('IPv4 IPv6 FQDN'),
}

const named = 'map name; merge name'

/** `listType keys; merge key`; all others are atomic and are replaced whole. */
export const coreLists: Readonly<Record<string, string>> = {
  'V1PodSpec.volumes': named,
  'V1PodSpec.containers': named,
  'V1PodSpec.initContainers': named,
  'V1PodSpec.ephemeralContainers': named,
  'V1PodSpec.imagePullSecrets': named,
  'V1PodSpec.schedulingGates': named,
  'V1PodSpec.resourceClaims': named,
  'V1PodSpec.hostAliases': 'map ip; merge ip',
  'V1PodSpec.topologySpreadConstraints': 'map topologyKey,whenUnsatisfiable; merge topologyKey',
  'V1Container.ports': 'map containerPort,protocol; merge containerPort',
  'V1Container.env': named,
  'V1Container.volumeMounts': 'map mountPath; merge mountPath',
  'V1Container.volumeDevices': 'map devicePath; merge devicePath',
  'V1EphemeralContainer.ports': 'map containerPort,protocol; merge containerPort',
  'V1EphemeralContainer.env': named,
  'V1EphemeralContainer.volumeMounts': 'map mountPath; merge mountPath',
  'V1EphemeralContainer.volumeDevices': 'map devicePath; merge devicePath',
  'V1ContainerRestartRuleOnExitCodes.values': 'set',
  'V1ResourceRequirements.claims': 'map name',
  'V1PodStatus.conditions': 'map type; merge type',
  'V1PodStatus.podIPs': 'map ip; merge ip',
  'V1PodStatus.hostIPs': 'atomic; merge ip',
  'V1PodStatus.resourceClaimStatuses': named,
  'V1PodStatus.nodeAllocatableResourceClaimStatuses': 'map resourceClaimName',
  'V1NodeAllocatableResourceClaimStatus.containers': 'set',
  'V1ContainerStatus.volumeMounts': 'map mountPath; merge mountPath',
  'V1ContainerStatus.allocatedResourcesStatus': 'map name',
  'V1ResourceStatus.resources': 'map resourceID',
  'V1NodeSpec.podCIDRs': 'set; merge',
  'V1NodeStatus.addresses': 'map type; merge type',
  'V1NodeStatus.conditions': 'map type; merge type',
  'V1ServiceAccount.secrets': named,
  'V1Endpoint.addresses': 'set',
}

/** Quantities, which the models call strings: people write plain numbers too. */
export const amountFields: ReadonlySet<string> = new Set([
  'V1ResourceRequirements.limits',
  'V1ResourceRequirements.requests',
  'V1ResourceFieldSelector.divisor',
  'V1PodSpec.overhead',
  'V1PodStatus.allocatedResources',
  'V1ContainerStatus.allocatedResources',
  'V1NodeAllocatableResourceClaimStatus.resources',
  'V1NodeStatus.capacity',
  'V1NodeStatus.allocatable',
])

/** Models of which only these fields are told: the rest is kept as it is. */
export const openModels: Readonly<Record<string, readonly string[]>> = { V1Volume: ['name'] }

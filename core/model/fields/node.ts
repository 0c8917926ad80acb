// Node (core v1): a machine of a Kubernetes cluster. Kept for its readers; the hosts of the mesh are those that joined it.
import { amounts, choice, conditionStatus, list, listBy, part, time } from './core-parts.ts'
import { enforced, ignored, type ObjectField } from './field.ts'
import { flag, int32, text, texts, whole } from './parts.ts'
import { addressBlock, clip, labelValue, qualifiedName } from './rules.ts'

const cidr = (value: string): string | undefined =>
  value.includes('/') && addressBlock(value) === undefined
    ? undefined
    : `"${clip(value)}" is not a CIDR block such as 10.0.0.0/8`

const configSource = (what: string) =>
  part(what, {
    configMap: part('A ConfigMap.', {
      namespace: text('Its namespace.', { required: true }),
      name: text('Its name.', { required: true }),
      kubeletConfigKey: text('Key of the configuration.', { required: true }),
      uid: text('Its life.'),
      resourceVersion: text('Its revision.'),
    }),
  })

const taint = part('One taint.', {
  key: text('Key of the taint.', { required: true, check: qualifiedName }),
  value: text('Value of the taint.', { check: labelValue }),
  effect: choice('What happens to pods that do not tolerate it.', ['NoSchedule', 'PreferNoSchedule', 'NoExecute'], {
    required: true,
  }),
  timeAdded: time('Since when.'),
})

export const nodeSpec = {
  type: 'object',
  text: 'Where the node stands.',
  use: ignored('Nodes are kept but have no effect: the hosts of the mesh are those that joined it with a token'),
  fields: {
    podCIDR: text('Addresses of pods on the node.', { check: cidr }),
    podCIDRs: {
      ...texts('Addresses of pods on the node, one block of each family.', cidr, { listType: 'set' }),
      patch: { strategy: 'merge' },
    },
    providerID: text("The node's id at the provider."),
    unschedulable: flag('Whether no new pods come.'),
    taints: list('What keeps pods away.', taint),
    configSource: configSource('Withdrawn by Kubernetes.'),
    externalID: text('Withdrawn by Kubernetes.'),
  },
} as const satisfies ObjectField

const nodeCondition = part('One condition.', {
  type: text('Type such as Ready.', { required: true }),
  status: conditionStatus,
  reason: text('Why, in one word.'),
  message: text('Why, for people.'),
  lastHeartbeatTime: time('When it was told last.'),
  lastTransitionTime: time('When it changed last.'),
})

const nodeInfo = part('Machine and software.', {
  machineID: text('Id of the machine.', { required: true }),
  systemUUID: text('Id of the system.', { required: true }),
  bootID: text('Id of the boot.', { required: true }),
  kernelVersion: text('Version of the kernel.', { required: true }),
  osImage: text('Operating system.', { required: true }),
  containerRuntimeVersion: text('Container runtime.', { required: true }),
  kubeletVersion: text('Version of kubelet.', { required: true }),
  kubeProxyVersion: text('Withdrawn by Kubernetes.', { required: true }),
  operatingSystem: text('Family of the operating system.', { required: true }),
  architecture: text('Processor.', { required: true }),
  swap: part('Swap space.', { capacity: whole('Bytes.', 0, Number.MAX_SAFE_INTEGER) }),
})

const handler = part('One runtime.', {
  name: text('Its name; empty for the default.'),
  features: part('What it can do.', {
    recursiveReadOnlyMounts: flag('Whether mounts inside can be read-only too.'),
    userNamespaces: flag('Whether pods can have their own user ids.'),
  }),
})

export const nodeStatus = {
  type: 'object',
  text: 'How the node is doing.',
  use: enforced('api: kept as it is written'),
  fields: {
    addresses: listBy(
      'type',
      'Addresses of the node.',
      part('One address.', {
        type: text('InternalIP, ExternalIP, Hostname, InternalDNS or ExternalDNS.', { required: true }),
        address: text('The address.', { required: true }),
      }),
    ),
    conditions: listBy('type', 'Conditions, one of each type.', nodeCondition),
    capacity: amounts('Resources of the node.'),
    allocatable: amounts('Resources for pods.'),
    phase: choice('Withdrawn by Kubernetes.', ['Pending', 'Running', 'Terminated']),
    nodeInfo,
    daemonEndpoints: part('Ports of the daemons.', {
      kubeletEndpoint: part('Port of kubelet.', { Port: whole('The port.', 0, int32, { required: true }) }),
    }),
    images: list(
      'Images on the node.',
      part('One image.', {
        names: texts('Its names.'),
        sizeBytes: whole('Bytes.', 0, Number.MAX_SAFE_INTEGER),
      }),
    ),
    volumesInUse: texts('Volumes in use.'),
    volumesAttached: list(
      'Volumes attached.',
      part('One volume.', {
        name: text('Its name.', { required: true }),
        devicePath: text('Path of the device.', { required: true }),
      }),
    ),
    runtimeHandlers: list('Container runtimes.', handler),
    features: part('What the runtime can do.', {
      supplementalGroupsPolicy: flag('Whether it knows the policy of groups.'),
    }),
    declaredFeatures: texts('Features that the node declares.'),
    config: part('Withdrawn by Kubernetes.', {
      assigned: configSource('What was assigned.'),
      active: configSource('What is used.'),
      lastKnownGood: configSource('What worked last.'),
      error: text('What went wrong.'),
    }),
  },
} as const satisfies ObjectField

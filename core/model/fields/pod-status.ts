// The status of a Pod, as kubelets and other runtimes write it.
import { resources } from './container.ts'
import { amounts, choice, conditionStatus, list, listBy, part, time } from './core-parts.ts'
import { enforced, type ObjectField } from './field.ts'
import { flag, int32, text, texts, whole } from './parts.ts'
import { ipAddress } from './rules.ts'
import { containerUser } from './security-context.ts'

const observedGeneration = whole('The metadata.generation that this is about.', 0, Number.MAX_SAFE_INTEGER)

const podCondition = part('One condition.', {
  type: text('Type such as Ready.', { required: true }),
  status: conditionStatus,
  reason: text('Why, in one word.'),
  message: text('Why, for people.'),
  lastProbeTime: time('When it was looked at last.'),
  lastTransitionTime: time('When it changed last.'),
  observedGeneration,
})

const state = (what: string) =>
  part(what, {
    waiting: part('It has not started yet.', { reason: text('Why, in one word.'), message: text('Why, for people.') }),
    running: part('It runs.', { startedAt: time('Since when.') }),
    terminated: part('It has ended.', {
      exitCode: whole('Its exit code.', -2_147_483_648, int32, { required: true }),
      signal: whole('The signal that ended it.', 0, int32),
      reason: text('Why, in one word.'),
      message: text('Why, for people.'),
      startedAt: time('When it started.'),
      finishedAt: time('When it ended.'),
      containerID: text('Id of the container.'),
    }),
  })

const mountStatus = part('One volume.', {
  name: text('Name of the volume.', { required: true }),
  mountPath: text('Path in the container.', { required: true }),
  readOnly: flag('Whether it cannot be written.'),
  recursiveReadOnly: text('Whether mounts inside cannot be written either.'),
  volumeStatus: part('What is known of the volume.', {
    image: part('What is known of an image volume.', {
      imageRef: text('Digest of the image.', { required: true }),
    }),
  }),
})

const resourceStatus = part('Health of one resource.', {
  name: text('Name of the resource.', { required: true }),
  resources: list(
    'Health of its devices.',
    part('One device.', {
      resourceID: text('Id of the device.', { required: true }),
      health: text('Healthy, Unhealthy or Unknown.'),
      message: text('Why, for people.'),
    }),
    { listType: 'map', mapKeys: ['resourceID'] },
  ),
})

const containerStatus = part('What is known of one container.', {
  name: text('Name of the container.', { required: true }),
  ready: { ...flag('Whether it takes traffic.'), required: true },
  started: flag('Whether it has started.'),
  restartCount: whole('How often it was started again.', 0, int32, { required: true }),
  image: text('Image that runs.', { required: true }),
  imageID: text('Digest of the image.', { required: true }),
  containerID: text('Id of the container.'),
  state: state('What it does now.'),
  lastState: state('What it did before.'),
  stopSignal: text('Signal that asks it to stop.'),
  allocatedResources: amounts('Resources that the node has reserved.'),
  allocatedResourcesStatus: list('Health of its resources.', resourceStatus, { listType: 'map', mapKeys: ['name'] }),
  resources,
  user: containerUser,
  volumeMounts: listBy('mountPath', 'Volumes that it sees.', mountStatus),
})

const containerStatuses = (what: string) => list(what, containerStatus)

const mapping = part('One request.', {
  containerName: text('Name of the container.', { required: true }),
  resourceName: text('Name of the resource.', { required: true }),
  requestName: text('Name of the request in the claim.', { required: true }),
})

const claimStatus = part('One claim.', {
  name: text('Name of the entry of spec.resourceClaims.', { required: true }),
  resourceClaimName: text('Name of the ResourceClaim.'),
})

const claimOfNode = part('One claim.', {
  resourceClaimName: text('Name of the ResourceClaim.', { required: true }),
  containers: texts('Containers that use it.', undefined, { listType: 'set' }),
  resources: { ...amounts('Resources that it takes.'), required: true },
})

export const podStatus = {
  type: 'object',
  text: 'How the pod is doing.',
  use: enforced('api: kept as it is written'),
  fields: {
    phase: choice('Pending, Running, Succeeded, Failed or Unknown.', [
      'Pending',
      'Running',
      'Succeeded',
      'Failed',
      'Unknown',
    ]),
    conditions: listBy('type', 'Conditions, one of each type.', podCondition),
    podIP: text('Address of the pod.', { check: ipAddress }),
    podIPs: listBy(
      'ip',
      'Addresses of the pod, one of each family.',
      part('One address.', {
        ip: text('The address.', { required: true, check: ipAddress }),
      }),
    ),
    hostIP: text('Address of the node.', { check: ipAddress }),
    hostIPs: {
      ...list(
        'Addresses of the node.',
        part('One address.', {
          ip: text('The address.', { required: true, check: ipAddress }),
        }),
      ),
      patch: { strategy: 'merge', mergeKey: 'ip' },
    },
    startTime: time('When the node took the pod.'),
    containerStatuses: containerStatuses('Containers of the pod.'),
    initContainerStatuses: containerStatuses('Containers that run before the others.'),
    ephemeralContainerStatuses: containerStatuses('Containers for looking into the pod.'),
    qosClass: choice('How sure of its resources the pod is.', ['Guaranteed', 'Burstable', 'BestEffort']),
    reason: text('Why it is in its phase, in one word.'),
    message: text('Why it is in its phase, for people.'),
    nominatedNodeName: text('Node on which room is being made.'),
    resize: text('How a change of resources goes.'),
    resources,
    allocatedResources: amounts('Resources that the node has reserved.'),
    observedGeneration,
    resourceClaimStatuses: listBy('name', 'Claims of devices.', claimStatus),
    nodeAllocatableResourceClaimStatuses: list('Claims of resources of the node.', claimOfNode, {
      listType: 'map',
      mapKeys: ['resourceClaimName'],
    }),
    extendedResourceClaimStatus: part('The claim behind extended resources.', {
      resourceClaimName: text('Name of the ResourceClaim.', { required: true }),
      requestMappings: list('Which request is which resource.', mapping, { required: true }),
    }),
  },
} as const satisfies ObjectField

// Pod (core v1): the containers of one workload. Kept for its readers; the inventory without Kubernetes are WorkloadEntries.
import { container, ephemeralContainer, resources } from './container.ts'
import { amounts, choice, list, listBy, localReference, orEmpty, part } from './core-parts.ts'
import type { ObjectCheck, ObjectField } from './field.ts'
import { ignored } from './field.ts'
import { flag, text, texts, whole } from './parts.ts'
import { podChecks } from './pod-checks.ts'
import { schedulingFields } from './pod-scheduling.ts'
import { all, dnsLabel, dnsSubdomain, ipAddress, labelValue, maxLength, qualifiedName } from './rules.ts'
import { podSecurity } from './security-context.ts'

const namesAreText: ObjectCheck = (dns, report) => {
  const nameservers = (dns['nameservers'] as readonly string[] | undefined) ?? []
  if (nameservers.length > 3) report(['nameservers'], `has ${nameservers.length} entries, at most 3 are allowed`)
}

const dnsConfig = part(
  'Settings of the resolver.',
  {
    nameservers: texts('Addresses of name servers.', ipAddress),
    searches: texts('Domains in which short names are looked up.', (value) =>
      value === '.' ? undefined : dnsSubdomain(value.replace(/\.$/, '').replaceAll('_', 'x')),
    ),
    options: list(
      'Options of the resolver.',
      part('One option.', { name: text('Name of the option.'), value: text('Its value.') }),
    ),
  },
  { checks: [namesAreText] },
)

const hostAlias = part('One address.', {
  ip: text('The address.', { required: true, check: ipAddress }),
  hostnames: texts('Its names.', dnsSubdomain),
})

/** What a volume is made of is up to who mounts it: nothing of it concerns a mesh. */
const volume = part(
  'One volume.',
  { name: text('Name of the volume.', { required: true, check: dnsLabel }) },
  { open: true },
)

const keptOnly =
  'Pods are kept but start nothing and are not in the inventory: write a WorkloadEntry for each workload (agents do it for theirs)'

export const podSpec = {
  type: 'object',
  text: 'The containers of a workload, and where they run.',
  use: ignored(keptOnly),
  required: true,
  checks: podChecks,
  fields: {
    volumes: listBy('name', 'Volumes that containers may mount.', volume),
    containers: { ...listBy('name', 'Containers of the pod.', container), required: true, minItems: 1 },
    initContainers: listBy('name', 'Containers that run one by one before the others.', container),
    ephemeralContainers: listBy('name', 'Containers for looking into the pod.', ephemeralContainer),
    serviceAccountName: text('Service account, the last part of the identity.', { check: orEmpty(dnsSubdomain) }),
    serviceAccount: text('Older name of serviceAccountName.', { check: orEmpty(dnsSubdomain) }),
    automountServiceAccountToken: flag('Whether containers see a token of the service account.'),
    hostNetwork: flag('Whether the pod has the network of its node.'),
    hostPID: flag('Whether the pod sees the processes of its node.'),
    hostIPC: flag('Whether the pod shares memory with its node.'),
    hostUsers: flag('Whether the pod has the user ids of its node.'),
    shareProcessNamespace: flag('Whether containers see the processes of each other.'),
    hostname: text('Host name; the name of the pod where absent.', { check: orEmpty(dnsLabel) }),
    hostnameOverride: text('Host name instead of any other.', { check: orEmpty(all(maxLength(64), dnsSubdomain)) }),
    subdomain: text('Domain of the host name, the name of a Service.', { check: orEmpty(dnsLabel) }),
    setHostnameAsFQDN: flag('Whether the host name has its domain.'),
    hostAliases: listBy('ip', 'Lines of /etc/hosts.', hostAlias),
    dnsPolicy: choice('Where names are looked up.', ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'], {
      default: 'ClusterFirst',
    }),
    dnsConfig,
    enableServiceLinks: { ...flag('Whether Services become environment variables.'), default: true },
    restartPolicy: choice('When containers are started again.', ['Always', 'OnFailure', 'Never'], {
      default: 'Always',
    }),
    terminationGracePeriodSeconds: whole('Seconds to stop in.', 0, Number.MAX_SAFE_INTEGER, { default: 30 }),
    activeDeadlineSeconds: whole('Seconds after which the pod is stopped.', 1, 2_147_483_647),
    securityContext: { ...podSecurity, default: {} },
    imagePullSecrets: listBy('name', 'Secrets for fetching images.', { ...localReference, atomic: true }),
    readinessGates: list(
      'Conditions that must hold before the pod is ready.',
      part('One condition.', { conditionType: text('Its type.', { required: true, check: qualifiedName }) }),
    ),
    os: part('Operating system.', { name: text('Its name.', { required: true, check: labelValue }) }),
    overhead: amounts('Resources that the runtime itself takes.'),
    resources,
    runtimeClassName: text('Class of the runtime.', { check: dnsSubdomain }),
    ...schedulingFields,
  },
} as const satisfies ObjectField

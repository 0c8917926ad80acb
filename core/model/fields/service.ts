// Service (core v1): a name, virtual IPs and ports for the workloads that its selector finds.
import { asWhole, enforced, type Field, ignored, type ObjectField, type ValueOf } from './field.ts'
import {
  addressBlock,
  clip,
  dnsLabel,
  dnsSubdomain,
  ipAddress,
  item,
  labelValue,
  portNumberOrName,
  qualifiedName,
} from './rules.ts'
import { serviceChecks } from './service-checks.ts'

const virtualIp = (value: string): string | undefined =>
  value === '' || value === 'None' || ipAddress(value) === undefined
    ? undefined
    : `"${clip(value)}" is neither an IP address nor None`

const nodePort = (text: string) =>
  ({
    type: 'integer',
    text,
    min: 0,
    max: 65535,
    use: ignored('no port is opened on the hosts: the mesh has no node ports'),
  }) as const

const loadBalancer = (name: string) => ignored(`${name} has no effect: the mesh creates no load balancers`)

const typeText: Readonly<Record<string, string>> = {
  NodePort: 'type NodePort acts as ClusterIP: no port is opened on the hosts',
  LoadBalancer: 'type LoadBalancer acts as ClusterIP: the mesh creates no load balancers',
  ExternalName: 'type ExternalName is not resolved: the service has no address in the mesh',
}

const port = {
  type: 'object',
  text: 'One port of the service.',
  use: asWhole,
  fields: {
    name: {
      type: 'string',
      text: 'Name; required with several ports.',
      use: enforced('compile: named ports'),
      check: (value) => (value === '' ? undefined : dnsLabel(value)),
    },
    port: {
      type: 'integer',
      text: 'Port on the virtual IP.',
      use: enforced('compile: Service.ports'),
      required: true,
      min: 1,
      max: 65535,
    },
    protocol: {
      type: 'enum',
      text: 'Transport protocol; TCP where absent.',
      use: enforced('compile: Service.ports', (value) =>
        value === 'UDP' || value === 'SCTP'
          ? `${value} is not carried: the mesh captures TCP only, this port is left out`
          : undefined,
      ),
      values: ['TCP', 'UDP', 'SCTP'],
      default: 'TCP',
    },
    targetPort: {
      type: 'int-or-string',
      text: 'Port of the workload, a number or the name of one of its ports; the service port where absent.',
      use: enforced('compile: target port of an endpoint'),
      check: portNumberOrName,
    },
    appProtocol: {
      type: 'string',
      text: 'Application protocol.',
      use: enforced('waypoint: what is spoken on the port'),
      check: qualifiedName,
    },
    nodePort: nodePort('Port on every host.'),
  },
} as const satisfies Field

export const serviceSpec = {
  type: 'object',
  text: 'Virtual IPs and ports for a set of workloads.',
  use: asWhole,
  checks: serviceChecks,
  fields: {
    type: {
      type: 'enum',
      text: 'How the service is published; ClusterIP where absent.',
      use: enforced('compile', (value) => typeText[String(value)]),
      values: ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'],
    },
    selector: {
      type: 'map',
      text: 'Labels of the workloads behind the service; none without it.',
      use: enforced('compile: endpoints'),
      atomic: true,
      key: qualifiedName,
      value: { type: 'string', text: 'The exact value of the label.', use: asWhole, check: labelValue },
    },
    ports: {
      type: 'list',
      text: 'Ports of the service.',
      use: enforced('compile: Service.ports'),
      maxItems: 1024,
      listType: 'map',
      mapKeys: ['port', 'protocol'],
      patch: { strategy: 'merge', mergeKey: 'port' },
      item: port,
    },
    clusterIP: {
      type: 'string',
      text: 'Virtual IP, allocated where absent; None for a service without one.',
      use: enforced('control: allocation'),
      check: virtualIp,
    },
    clusterIPs: {
      type: 'list',
      text: 'Virtual IPs, one per family, the first equal to clusterIP.',
      use: enforced('control: allocation'),
      maxItems: 2,
      item: item(virtualIp),
    },
    ipFamilies: {
      type: 'list',
      text: 'Families of the virtual IPs.',
      use: ignored('ipFamilies has no effect: a service gets virtual IPs of both families'),
      maxItems: 2,
      item: { type: 'enum', text: 'A family.', use: asWhole, values: ['IPv4', 'IPv6'] },
    },
    ipFamilyPolicy: {
      type: 'enum',
      text: 'Whether the service has one or two families.',
      use: ignored('ipFamilyPolicy has no effect: a service gets virtual IPs of both families'),
      values: ['SingleStack', 'PreferDualStack', 'RequireDualStack'],
    },
    sessionAffinity: {
      type: 'enum',
      text: 'Whether connections of one client go to one workload.',
      use: enforced('compile', (value) =>
        value === 'ClientIP'
          ? 'sessionAffinity ClientIP is not kept: each connection picks a workload at random'
          : undefined,
      ),
      values: ['None', 'ClientIP'],
    },
    sessionAffinityConfig: {
      type: 'object',
      text: 'Details of sessionAffinity.',
      use: ignored('sessionAffinityConfig has no effect: session affinity is not kept'),
      fields: {
        clientIP: {
          type: 'object',
          text: 'Details of ClientIP.',
          use: asWhole,
          fields: { timeoutSeconds: { type: 'integer', text: 'Seconds.', use: asWhole, min: 1, max: 86_400 } },
        },
      },
    },
    publishNotReadyAddresses: {
      type: 'boolean',
      text: 'Whether workloads count before they are ready.',
      use: ignored('publishNotReadyAddresses has no effect: unhealthy workloads get no traffic'),
    },
    internalTrafficPolicy: {
      type: 'enum',
      text: 'Whether traffic stays on the host.',
      use: enforced('compile', (value) =>
        value === 'Local' ? 'internalTrafficPolicy Local is not kept: workloads of all hosts get traffic' : undefined,
      ),
      values: ['Cluster', 'Local'],
    },
    trafficDistribution: {
      type: 'string',
      text: 'Preference for near workloads.',
      use: ignored('trafficDistribution has no effect: all healthy workloads get traffic alike'),
      check: qualifiedName,
    },
    externalName: {
      type: 'string',
      text: 'DNS name that the service stands for.',
      use: ignored('externalName is not resolved: the service has no address in the mesh'),
      check: (value) =>
        value === '' || dnsSubdomain(value.replace(/\.$/, '')) === undefined
          ? undefined
          : `"${clip(value)}" is not a DNS name`,
    },
    externalIPs: {
      type: 'list',
      text: 'Further addresses of the service.',
      use: ignored('externalIPs are not captured: use the virtual IP or the name of the service'),
      item: item(ipAddress),
    },
    externalTrafficPolicy: {
      type: 'enum',
      text: 'Whether traffic from outside stays on the host.',
      use: ignored('externalTrafficPolicy has no effect: no port is opened on the hosts'),
      values: ['Cluster', 'Local'],
    },
    healthCheckNodePort: nodePort('Port of the load balancer health check.'),
    loadBalancerIP: {
      type: 'string',
      text: 'Address of the load balancer.',
      use: loadBalancer('loadBalancerIP'),
      check: (value) => (value === '' ? undefined : ipAddress(value)),
    },
    loadBalancerClass: {
      type: 'string',
      text: 'Class of the load balancer.',
      use: loadBalancer('loadBalancerClass'),
      check: qualifiedName,
    },
    loadBalancerSourceRanges: {
      type: 'list',
      text: 'Addresses that the load balancer lets in.',
      use: loadBalancer('loadBalancerSourceRanges'),
      item: item((value) => addressBlock(value.trim())),
    },
    allocateLoadBalancerNodePorts: {
      type: 'boolean',
      text: 'Whether a load balancer gets node ports.',
      use: loadBalancer('allocateLoadBalancerNodePorts'),
    },
  },
} as const satisfies ObjectField

export type ServiceSpec = ValueOf<typeof serviceSpec>
export type ServiceSpecPort = ValueOf<typeof port>

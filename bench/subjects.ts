// Who is measured, where each one's workloads stand, and which ports everybody uses. Pure; world.ts builds it.
import type { Topology, TopologyWorkload } from '../lab/topology.ts'

export const peers = ['haproxy', 'nginx', 'stunnel'] as const
export type Peer = (typeof peers)[number]
export const subjects = ['direct', 'culvert', 'culvert-node-http2', ...peers] as const
export type Subject = (typeof subjects)[number]

/** A subject, or a peer that the client dials itself, without redirection. */
export type Measured = Subject | `${Peer}-uncaptured`

export function isPeer(subject: string): subject is Peer {
  return (peers as readonly string[]).includes(subject)
}

export function uncaptured(peer: Peer): `${Peer}-uncaptured` {
  return `${peer}-uncaptured`
}

/** What every application listens on, in each server's own namespace. */
export const ports = { http: 8080, echo: 9000, bulk: 9001 } as const
export type Port = keyof typeof ports
/** What the two ends of a peer listen on for each of them. */
export const peerPorts = {
  client: { http: 15101, echo: 15102, bulk: 15103 },
  server: { http: 15201, echo: 15202, bulk: 15203 },
} as const satisfies Readonly<Record<string, Readonly<Record<Port, number>>>>

/** The old engine needs daemons of its own, hence hosts of its own; everybody else shares two hosts. */
export function hostsOf(subject: Subject): readonly [client: string, server: string] {
  return subject === 'culvert-node-http2' ? ['h3', 'h4'] : ['h1', 'h2']
}

function namespaceOf(subject: Subject): string {
  return subject.startsWith('culvert') ? 'mesh' : 'plain'
}

/** Name of a subject's workload as the lab takes it, `NAME.NAMESPACE`. */
export function workloadOf(subject: Subject, end: 'client' | 'server'): string {
  return `${subject}-${end}.${namespaceOf(subject)}`
}

export function benchTopology(chosen: readonly Subject[]): Topology {
  const hosts = [...new Set(chosen.flatMap(hostsOf))].sort()
  const workloads = chosen.flatMap((subject) => {
    const [client, server] = hostsOf(subject)
    return [workload(subject, 'client', client), workload(subject, 'server', server)]
  })
  return { hosts, workloads }
}

function workload(subject: Subject, end: 'client' | 'server', host: string): TopologyWorkload {
  const name = `${subject}-${end}`
  return {
    name,
    namespace: namespaceOf(subject),
    serviceAccount: end,
    host,
    labels: { app: end },
    ports: {},
    process: { kind: 'idle' },
  }
}

/** What an operator of the mesh would have applied: enrolment, mutual TLS only, and a policy that has to be evaluated. */
export const benchManifests = `
apiVersion: v1
kind: Namespace
metadata: {name: mesh, labels: {culvert.dev/dataplane-mode: ambient}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: mesh}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: clients, namespace: mesh}
spec:
  selector: {matchLabels: {app: server}}
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/mesh/sa/client]}}]
    to: [{operation: {ports: [${Object.values(ports)
      .map((port) => `"${port}"`)
      .join(', ')}]}}]
`

// Checks what arrives on the feed and on the handoff, once, at the edge: unknown JSON becomes one of the message types or
// FEED_PROTOCOL. Compiled resources are checked here only as {kind, key, value}: Snapshot.apply judges them one by one, so
// that a bad one is refused alone (and fails closed) while the rest of its delta applies.
import type { ExplainQuestion, LivePath, LiveView } from '../model/explanation.ts'
import type { CompiledDelta, CompiledResource, RefusedResource } from '../model/types.ts'
import type { HandoffToAgent, HandoffToDaemon, LocalWorkload } from './handoff.ts'
import type { AgentMessage, ControlMessage, WorkloadReport } from './messages.ts'
import { anyObject, boolean, enumeration, integer, list, object, record, type Shape, tagged, text } from './shape.ts'

const maxResources = 1_000_000
const maxWorkloads = 10_000
const maxControls = 100
const name = text(253, 1)
const longText = text(4096)
const pem = text(256 * 1024, 1)
const count = integer(0, Number.MAX_SAFE_INTEGER)
const port = integer(1, 65535)
const labels = record(text(1024), 1024)
const addresses = list(text(64, 1), 64)
const key = text(2048, 1)

const compiledKey = object({ kind: text(64, 1), key })
const refused = list(object({ kind: text(64, 1), key, reason: longText }), maxResources) as Shape<
  readonly RefusedResource[]
>
const resource = object({ kind: text(64, 1), key, value: anyObject }) as Shape<unknown> as Shape<CompiledResource>

const delta = object({
  epoch: text(128, 1),
  version: count,
  full: boolean,
  upserts: list(resource, maxResources),
  removes: list(compiledKey, maxResources),
}) as Shape<CompiledDelta>

const workloadReport: Shape<WorkloadReport> = object({
  uid: text(1024, 1),
  name,
  namespace: name,
  serviceAccount: name,
  addresses,
  labels,
  ports: record(port, 256),
  locality: text(1024),
  weight: integer(0, 1_000_000),
  captured: boolean,
  uncapturedConnections: count,
})

const csr = { id: count, identity: text(2048, 1), csr: text(16 * 1024, 1) }
const certificate = object({ id: count, chain: pem, bundle: pem })
const certificateError = object({ id: count, code: text(64, 1), reason: longText, retryable: boolean })

const features = list(text(64, 1), 64)
const maxPaths = 100_000
const verdict = enumeration('allowed', 'denied', 'unreachable', 'not-captured')

const question = object(
  { source: longText, destination: longText },
  { namespace: name, method: longText, path: longText, headers: record(longText, 100) },
) as Shape<ExplainQuestion>

const livePath = object(
  {
    dial: text(128, 1),
    target: text(128, 1),
    verdict,
    because: longText,
    transport: enumeration('tunnel', 'plaintext', 'loopback', 'none'),
  },
  { uid: text(1024, 1), policy: longText, waypoint: text(1024, 1) },
) as Shape<LivePath>

const liveView = object({
  model: object({ epoch: text(128), version: count }),
  verdict: enumeration('allowed', 'denied', 'unreachable', 'not-captured', 'mixed'),
  paths: list(livePath, maxPaths),
  limits: object({ establishTimeoutMs: count, connectTimeoutMs: count, maxEndpoints: count, patienceMs: count }),
  served: list(object({ uid: text(1024, 1) }, { certificateNotAfterMs: count }), maxWorkloads),
}) as Shape<LiveView>

const explain = object({ id: count, question })
const explained = object({ id: count, view: liveView })
const explainFailed = object({ id: count, code: text(64, 1), reason: longText })

const agentMessage = tagged({
  hello: object(
    { host: name, build: text(256) },
    { resume: object({ epoch: text(128, 1), version: count }, { digest: text(64, 1) }), features },
  ),
  digests: object({ digests: record(text(256, 1), maxResources) }),
  workloads: object({ workloads: list(workloadReport, maxWorkloads) }),
  ack: object({ epoch: text(128, 1), version: count, refused }),
  csr: object(csr),
  explained,
  'explain-failed': explainFailed,
  bye: object({ reason: longText }),
})

const controlMessage = tagged({
  welcome: object(
    { host: name, trustDomain: text(255, 1), bundle: pem },
    { controls: list(object({ host: name, port }), maxControls) },
  ),
  resync: object({}),
  delta: object({ delta }),
  bundle: object({ bundle: pem }),
  'workloads-result': object({ refused: list(object({ uid: text(1024, 1), reason: longText }), maxWorkloads) }),
  certificate,
  'certificate-error': certificateError,
  explain,
  refused: object({ code: text(64, 1), reason: longText }),
})

const localWorkload: Shape<LocalWorkload> = object({
  uid: text(1024, 1),
  namespace: name,
  name,
  identity: text(2048, 1),
  addresses,
  netns: object({ path: text(4096, 1), inode: count }),
  nameservers: list(text(128, 1), 32),
})

const handoffToDaemon = tagged({
  state: object({ seq: count, delta, bundle: pem, workloads: list(localWorkload, maxWorkloads) }),
  delta: object({ seq: count, delta }),
  bundle: object({ seq: count, bundle: pem }),
  'workload-add': object({ seq: count, workload: localWorkload }),
  'workload-remove': object({ seq: count, uid: text(1024, 1) }),
  drain: object({ seq: count }),
  explain,
  certificate,
  'certificate-error': certificateError,
})

const handoffToAgent = tagged({
  hello: object({ build: text(256), pid: count }, { startedAt: count, draining: boolean, features }),
  draining: object({}),
  ack: object({ seq: count, refused, failed: record(longText, maxWorkloads) }),
  explained,
  'explain-failed': explainFailed,
  csr: object(csr),
})

/** What an agent sent, at the control plane. Throws FEED_PROTOCOL. */
export function parseAgentMessage(value: unknown): AgentMessage {
  return agentMessage(value, '')
}

/** What the control plane sent, at an agent. Throws FEED_PROTOCOL. */
export function parseControlMessage(value: unknown): ControlMessage {
  return controlMessage(value, '')
}

/** What the agent sent, at the daemon. Throws FEED_PROTOCOL. */
export function parseHandoffToDaemon(value: unknown): HandoffToDaemon {
  return handoffToDaemon(value, '')
}

/** What the daemon sent, at the agent. Throws FEED_PROTOCOL. */
export function parseHandoffToAgent(value: unknown): HandoffToAgent {
  return handoffToAgent(value, '')
}

import fc from 'fast-check'
import t from 'tap'
import { MeshError } from '../../../core/base/errors.ts'
import type { HandoffToAgent, HandoffToDaemon } from '../../../core/feed/handoff.ts'
import type { AgentMessage, ControlMessage } from '../../../core/feed/messages.ts'
import {
  parseAgentMessage,
  parseControlMessage,
  parseHandoffToAgent,
  parseHandoffToDaemon,
} from '../../../core/feed/parse.ts'

const report = {
  uid: 'h1/shop/a/1',
  name: 'a',
  namespace: 'shop',
  serviceAccount: 'sa',
  addresses: ['10.0.0.1', 'fd00::1'],
  labels: { app: 'a' },
  ports: { http: 8080 },
  locality: '',
  weight: 1,
  captured: true,
  uncapturedConnections: 0,
}
const delta = {
  epoch: 'e',
  version: 3,
  full: false,
  upserts: [{ kind: 'Workload' as const, key: 'u', value: { anything: true } as never }],
  removes: [{ kind: 'Service' as const, key: 's' }],
}
const local = {
  uid: 'u',
  namespace: 'n',
  name: 'w',
  identity: 'spiffe://td/ns/n/sa/s',
  addresses: ['10.0.0.1'],
  netns: { path: '/run/x', inode: 5 },
  nameservers: [],
}

const agent: readonly AgentMessage[] = [
  { type: 'hello', host: 'h1', build: 'x' },
  { type: 'hello', host: 'h1', build: 'x', resume: { epoch: 'e', version: 0 } },
  { type: 'digests', digests: { 'Workload/u': 'abc' } },
  { type: 'workloads', workloads: [report] },
  { type: 'ack', epoch: 'e', version: 1, refused: [{ kind: 'Workload', key: 'u', reason: 'no' }] },
  { type: 'csr', id: 1, identity: 'node', csr: 'PEM' },
  { type: 'bye', reason: 'done' },
]
const control: readonly ControlMessage[] = [
  { type: 'welcome', host: 'h1', trustDomain: 'cluster.local', bundle: 'PEM' },
  { type: 'resync' },
  { type: 'delta', delta },
  { type: 'bundle', bundle: 'PEM' },
  { type: 'workloads-result', refused: [{ uid: 'u', reason: 'r' }] },
  { type: 'certificate', id: 1, chain: 'PEM', bundle: 'PEM' },
  { type: 'certificate-error', id: 1, code: 'NODE_UNAUTHORIZED', reason: 'r', retryable: false },
  { type: 'refused', code: 'NODE_UNAUTHORIZED', reason: 'r' },
]
const toDaemon: readonly HandoffToDaemon[] = [
  { type: 'state', seq: 0, delta, bundle: 'PEM', workloads: [local] },
  { type: 'delta', seq: 1, delta },
  { type: 'bundle', seq: 2, bundle: 'PEM' },
  { type: 'workload-add', seq: 3, workload: local },
  { type: 'workload-remove', seq: 4, uid: 'u' },
]
const toAgent: readonly HandoffToAgent[] = [
  { type: 'hello', build: 'b', pid: 3 },
  { type: 'ack', seq: 3, refused: [], failed: { u: 'no namespace' } },
  { type: 'csr', id: 3, identity: 'spiffe://td/ns/n/sa/s', csr: 'PEM' },
]

const wires = [
  { name: 'agent', parse: parseAgentMessage, messages: agent },
  { name: 'control', parse: parseControlMessage, messages: control },
  { name: 'handoff to daemon', parse: parseHandoffToDaemon, messages: toDaemon },
  { name: 'handoff to agent', parse: parseHandoffToAgent, messages: toAgent },
]

for (const { name, parse, messages } of wires) {
  t.test(`every ${name} message is taken as it was sent, and an added field is dropped`, async (t) => {
    for (const message of messages) {
      t.strictSame(parse(JSON.parse(JSON.stringify(message))), message, message.type)
      t.strictSame(parse({ ...message, future: 1 }), message)
    }
  })

  t.test(`a ${name} message without one of its fields, or with null in it, is refused`, async (t) => {
    for (const message of messages) {
      for (const field of Object.keys(message)) {
        if (field === 'resume') continue
        const cut: Record<string, unknown> = { ...message }
        delete cut[field]
        t.throws(() => parse(cut), { code: 'FEED_PROTOCOL' }, `${message.type} without ${field}`)
        t.throws(() => parse({ ...message, [field]: null }), { code: 'FEED_PROTOCOL' })
      }
    }
  })

  t.test(`no JSON makes the ${name} parser fail in another way`, async (t) => {
    const types = messages.map((message) => message.type)
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.record({ type: fc.constantFrom(...types) }).chain((base) => fc.object().map((more) => ({ ...more, ...base }))),
    )
    fc.assert(
      fc.property(anything, (value) => {
        try {
          parse(value)
        } catch (error: unknown) {
          return error instanceof MeshError && error.code === 'FEED_PROTOCOL'
        }
        return true
      }),
    )
    t.pass('held')
  })
}

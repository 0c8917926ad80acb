// The world in which the connection scenarios run, the same for both rings: `direct` (in process, the original destination
// handed in) and `netns` (the lab: real namespaces, iptables, processes). Implemented by direct-world.ts and netns-world.ts.
import { once } from 'node:events'
import type net from 'node:net'
import type { Test } from 'tap'
import { deadline } from '../../core/base/deadline.ts'
import type { Explanation } from '../../core/model/explanation.ts'
import type { AddressFamily, SocketAddress } from '../../core/net/address.ts'

/** Every world has these; names are `namespace/name`. */
export const cast = {
  hosts: ['h1', 'h2', 'h3'],
  workloads: [
    { name: 'client', namespace: 'mesh', serviceAccount: 'client', host: 'h1', labels: { app: 'client' } },
    { name: 'other', namespace: 'mesh', serviceAccount: 'other', host: 'h1', labels: { app: 'other' } },
    { name: 'local', namespace: 'mesh', serviceAccount: 'local', host: 'h1', labels: { app: 'local' } },
    {
      name: 'server',
      namespace: 'mesh',
      serviceAccount: 'server',
      host: 'h2',
      labels: { app: 'server', tier: 'back' },
    },
    {
      name: 'second',
      namespace: 'mesh',
      serviceAccount: 'second',
      host: 'h3',
      labels: { app: 'second', tier: 'back' },
    },
    { name: 'reuse', namespace: 'mesh', serviceAccount: 'reuse', host: 'h3', labels: { app: 'reuse' } },
    {
      name: 'outside',
      namespace: 'mesh',
      serviceAccount: 'outside',
      host: 'h2',
      labels: { app: 'outside', 'culvert.dev/dataplane-mode': 'none' },
    },
    { name: 'client', namespace: 'open', serviceAccount: 'client', host: 'h1', labels: { app: 'client' } },
    { name: 'server', namespace: 'open', serviceAccount: 'server', host: 'h2', labels: { app: 'server' } },
  ],
  manifests: `
apiVersion: v1
kind: Namespace
metadata: {name: mesh, labels: {culvert.dev/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Namespace
metadata: {name: open}
---
${service('mesh', 'server', 'app: server', 'port: 8080')}
---
${service('mesh', 'alias', 'app: server', 'port: 81, targetPort: 8080')}
---
${service('mesh', 'back', 'tier: back', 'port: 8080')}
---
${service('mesh', 'local', 'app: local', 'port: 8080')}
---
${service('mesh', 'reuse', 'app: reuse', 'port: 8080')}
---
${service('mesh', 'outside', 'app: outside', 'port: 8080')}
---
${service('open', 'server', 'app: server', 'port: 8080')}
`,
} as const

/** A Service as text. `selector` and `port` are YAML flow mappings without braces. */
export function service(namespace: string, name: string, selector: string, port: string): string {
  return `apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {${selector}}
  ports: [{name: http, ${port}}]`
}

export interface LookupAnswer {
  readonly rcode: string
  readonly addresses: readonly string[]
}

export interface World {
  readonly ring: 'direct' | 'netns'
  /** Creates or replaces resources; resolves once every host has them in force. */
  apply(manifests: string): Promise<void>
  remove(manifests: string): Promise<void>
  address(workload: string, family?: AddressFamily): string
  vip(service: string, family?: AddressFamily): string
  /** Whether the workload exists. */
  has(workload: string): boolean
  /** What `explain` says about a connection from the workload, on the control plane's model. Rejects where it knows no answer. */
  explain(from: string, destination: string): Promise<Explanation>
  /** Opens a TCP connection as an application of the workload would. Resolves when connected, rejects when refused. */
  open(from: string, to: SocketAddress): Promise<net.Socket>
  /** How many connections the workload's daemon has taken for it through the tunnel so far. */
  tunnelledInto(workload: string): Promise<number>
  lookup(from: string, name: string, type: 'A' | 'AAAA'): Promise<LookupAnswer>
  /** Ends the host's daemon at once and resolves when its successor serves. */
  restartDaemon(host: string): Promise<void>
  /** The workload `reuse` ends; a workload of another name and service account gets its address and serves there. */
  reuseAddress(successor: { readonly name: string; readonly serviceAccount: string }): Promise<void>
  close(): Promise<void>
}

/** One row of the table (scenario-table.ts). It leaves the world as it found it. */
export interface Scenario {
  readonly name: string
  readonly run: (t: Test, world: World) => Promise<void>
}

export type Answer =
  | { readonly kind: 'answered'; readonly pod: string; readonly namespace: string; readonly caller: string }
  | { readonly kind: 'refused'; readonly how: string }

const answerMs = 10_000

/** One HTTP request on a connection of its own, as the workload would send it. */
export async function ask(world: World, from: string, to: SocketAddress): Promise<Answer> {
  try {
    const socket = await world.open(from, to)
    try {
      socket.write(
        `GET /who HTTP/1.1\r\nhost: ${to.address.includes(':') ? `[${to.address}]` : to.address}\r\nconnection: close\r\n\r\n`,
      )
      const text = await readAll(socket)
      if (text === '') return { kind: 'refused', how: 'closed without an answer' }
      return parseAnswer(text)
    } finally {
      socket.destroy()
    }
  } catch (error) {
    return { kind: 'refused', how: error instanceof Error ? error.message : String(error) }
  }
}

function parseAnswer(text: string): Answer {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const raw = rest.join('\r\n\r\n')
  const body = JSON.parse(raw.slice(raw.indexOf('{'), raw.lastIndexOf('}') + 1)) as Record<string, string>
  if (!head.startsWith('HTTP/1.1 200')) throw new Error(`unexpected answer: ${head}`)
  return {
    kind: 'answered',
    pod: body['pod'] ?? '',
    namespace: body['namespace'] ?? '',
    caller: (body['remoteAddress'] ?? '').replace(/^::ffff:/, ''),
  }
}

/** Everything until the other side ends; rejects on a reset. */
export async function readAll(socket: net.Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end', { signal: deadline(answerMs) })
  return Buffer.concat(chunks).toString()
}

/** A long-lived connection that can be asked whether it still works: sends a request and waits for the answer. */
export class Held {
  readonly socket: net.Socket
  closed = false
  constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
    })
    socket.on('end', () => {
      this.closed = true
    })
  }

  /** True when a request on this connection is answered. */
  async works(): Promise<boolean> {
    if (this.closed) return false
    this.socket.write('GET /who HTTP/1.1\r\nhost: held\r\n\r\n')
    try {
      await once(this.socket, 'data', { signal: deadline(answerMs) })
      return true
    } catch {
      return false
    }
  }

  /** Resolves with the milliseconds until the connection is closed; rejects after `limitMs`. */
  async closesWithin(limitMs: number): Promise<number> {
    const start = Date.now()
    while (!this.closed) {
      if (Date.now() - start > limitMs) throw new Error(`still open after ${limitMs} ms`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return Date.now() - start
  }
}

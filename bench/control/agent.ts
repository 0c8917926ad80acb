// A simulated agent: the feed over mutual TLS like a real one, parsed, counted and acknowledged, but nothing is built of it.
import type { WebSocket } from 'ws'
import { deadline } from '../../core/base/deadline.ts'
import { dialFeed } from '../../core/feed/dial.ts'
import type { AgentMessage, ControlMessage, WorkloadReport } from '../../core/feed/messages.ts'
import { packedFeature, unpack } from '../../core/feed/packing.ts'
import type { CompiledDelta } from '../../core/model/types.ts'
import { firstMark } from './mesh.ts'

export interface Credentials {
  readonly host: string
  readonly trustDomain: string
  readonly key: string
  readonly chain: string
  readonly bundle: string
}

/** Milliseconds of a clock that all processes of the machine share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

const connectMs = 30_000
const messageBytes = 256 * 1024 * 1024

export class SimulatedAgent {
  readonly #credentials: Credentials
  /** When a marked weight arrived first. */
  readonly arrivals = new Map<number, number>()
  /** When the full state was parsed. */
  syncedAt = 0
  resources = 0
  version = 0
  bytes = 0
  deltas = 0
  /** Deltas are thrown away unread, while the mesh is being made. */
  deaf = false
  #socket: WebSocket | undefined
  /** Answers come in the order of the reports. */
  readonly #reported: (() => void)[] = []

  constructor(credentials: Credentials) {
    this.#credentials = credentials
  }

  /** Tries until the control plane answers. */
  async connect(control: { readonly host: string; readonly port: number }): Promise<void> {
    this.syncedAt = 0
    const limit = deadline(connectMs)
    for (;;) {
      try {
        const { trustDomain } = this.#credentials
        this.#socket = await dialFeed(
          { control, trustDomain, credentials: this.#credentials, handshakeMs: connectMs },
          limit,
        )
        break
      } catch (error: unknown) {
        if (limit.aborted) throw error
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    this.#socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary))
    this.#socket.on('error', () => undefined)
    this.#send({ type: 'hello', host: this.#credentials.host, build: 'bench', features: [packedFeature] })
  }

  /** Resolves with the control plane's answer. */
  report(workloads: readonly WorkloadReport[]): Promise<void> {
    return new Promise((resolve) => {
      this.#reported.push(resolve)
      this.#send({ type: 'workloads', workloads })
    })
  }

  disconnect(): void {
    this.#socket?.terminate()
    this.#socket = undefined
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.bytes += data.length
    if (this.deaf && (isBinary || data.subarray(0, 16).toString().startsWith('{"type":"delta"'))) return
    const text = isBinary ? unpack(data, messageBytes) : data.toString()
    const message = JSON.parse(text) as ControlMessage
    if (message.type === 'delta') this.#take(message.delta)
    else if (message.type === 'workloads-result') {
      if (message.refused.length > 0) throw new Error(`refused: ${JSON.stringify(message.refused[0])}`)
      this.#reported.shift()?.()
    } else if (message.type === 'refused') throw new Error(message.reason)
  }

  #take(delta: CompiledDelta): void {
    this.deltas += 1
    this.version = delta.version
    for (const { kind, value } of delta.upserts) {
      if (kind === 'Workload' && value.weight >= firstMark && !this.arrivals.has(value.weight)) {
        this.arrivals.set(value.weight, now())
      }
    }
    if (delta.full) {
      this.resources = delta.upserts.length
      this.syncedAt = now()
    }
    this.#send({ type: 'ack', epoch: delta.epoch, version: delta.version, refused: [] })
  }

  #send(message: AgentMessage): void {
    this.#socket?.send(JSON.stringify(message))
  }
}

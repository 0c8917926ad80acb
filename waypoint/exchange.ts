// One request on its way through the stack, and what comes back. Made by the codecs that face the clients (http1/, http2/), once more
// for each try and each mirrored copy by the layers; sent by upstream/. Nothing here knows a protocol version or a socket.
import type { PeerIdentity } from '../core/model/canonical.ts'
import type { Service, Workload } from '../core/model/types.ts'
import type { SocketAddress } from '../core/net/address.ts'
import type { Body } from './http/body.ts'
import type { ResponseFlag } from './http/failure.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'

/** Who called, and whom: the same for all requests of one connection. Made when its tunnel stream is accepted. */
export interface Origin {
  /** From the verified certificate of the tunnel. */
  readonly identity: PeerIdentity
  /** SPIFFE URI of the same. */
  readonly principal: string
  readonly address: SocketAddress
  /** The workload at that address, where the model has it and it carries this identity. */
  readonly workload: Workload | undefined
  /** Where the client believed to connect: a virtual IP or a workload's address. */
  readonly destination: SocketAddress
  /** The service of that virtual IP; undefined for traffic to a workload's own address. */
  readonly service: Service | undefined
  /** The workload of that address where it is none of a service. */
  readonly target: Workload | undefined
}

/** Why an exchange is to end early. `client`: it went away; `timeout`: the deadline; `unwanted`: a mirror, or a try that lost. */
export type AbandonReason = 'client' | 'timeout' | 'try-timeout' | 'unwanted'

/** What may take a connection over: from an HTTP/1.1 Upgrade or an extended CONNECT (RFC 8441). */
export type Upgrade = 'websocket'

export interface ExchangeFacts {
  readonly origin: Origin
  readonly protocol: 'http/1.1' | 'h2'
  readonly head: RequestHead
  /** With `upgrade`: what the client sends once an answer accepted it. */
  readonly body: Body
  readonly upgrade?: Upgrade | undefined
  /** The client waits for 100 before it sends the body (RFC 9110 10.1.1). */
  readonly expectContinue?: boolean | undefined
  /** Interim answers: 100, 103 … The client's codec drops them where its protocol has no place for them. */
  readonly onInformational?: ((head: ResponseHead) => void) | undefined
  /** Monotonic milliseconds when the head was complete. */
  readonly startedAt: number
}

const grpcType = 'application/grpc'

function isGrpc(contentType: string | undefined): boolean {
  if (contentType === undefined || !contentType.startsWith(grpcType)) return false
  const next = contentType[grpcType.length]
  return next === undefined || next === '+' || next === ';'
}

export class Exchange {
  readonly origin: Origin
  readonly protocol: 'http/1.1' | 'h2'
  /** Layers change it: what stands here is sent. */
  head: RequestHead
  body: Body
  readonly upgrade: Upgrade | undefined
  readonly expectContinue: boolean
  /** gRPC over HTTP/2: errors go into `grpc-status`. Not gRPC-Web, which is ordinary HTTP with an envelope of its own. */
  readonly grpc: boolean
  readonly startedAt: number
  readonly #onInformational: ((head: ResponseHead) => void) | undefined
  #abandoned: AbandonReason | undefined
  /** Few, and most exchanges have one or two. */
  #listeners: ((reason: AbandonReason) => void)[] | undefined

  constructor(facts: ExchangeFacts) {
    this.origin = facts.origin
    this.protocol = facts.protocol
    this.head = facts.head
    this.body = facts.body
    this.upgrade = facts.upgrade
    this.expectContinue = facts.expectContinue ?? false
    this.startedAt = facts.startedAt
    this.#onInformational = facts.onInformational
    this.grpc = isGrpc(facts.head.headers.get('content-type'))
  }

  informational(head: ResponseHead): void {
    if (this.#abandoned === undefined) this.#onInformational?.(head)
  }

  get abandoned(): AbandonReason | undefined {
    return this.#abandoned
  }

  /** Ends it from above: tries under way reset their stream or close their connection. Once; later calls do nothing. */
  abandon(reason: AbandonReason): void {
    if (this.#abandoned !== undefined) return
    this.#abandoned = reason
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners !== undefined) for (const listener of listeners) listener(reason)
  }

  /** Calls back when it is abandoned; at once where it is already. @returns takes the listener back */
  onAbandoned(listener: (reason: AbandonReason) => void): () => void {
    if (this.#abandoned !== undefined) {
      listener(this.#abandoned)
      return () => {}
    }
    const listeners = this.#listeners ?? []
    this.#listeners = listeners
    listeners.push(listener)
    return () => {
      const at = listeners.indexOf(listener)
      if (at >= 0) listeners.splice(at, 1)
    }
  }
}

export interface Answer {
  /** Layers change it: what stands here is sent. Status 101 never comes here; see `upgraded`. */
  readonly head: ResponseHead
  /** With `upgraded`: what the upstream sends from now on. */
  readonly body: Body
  /** The upgrade was accepted: both bodies are now bytes of that protocol. `head.status` is 200 then, whatever went over the wire. */
  readonly upgraded?: boolean | undefined
  /** Why the proxy answered in place of an upstream. */
  readonly flag?: ResponseFlag | undefined
}

/**
 * Serves a request and resolves with the head of its answer; the bodies flow on by themselves. The stack's never throws: what goes
 * wrong is an answer too. Whoever called it reads or cancels the body of the answer, since what the exchange holds is given
 * back then; also where the client has gone meanwhile.
 */
export type Handler = (exchange: Exchange) => Promise<Answer>

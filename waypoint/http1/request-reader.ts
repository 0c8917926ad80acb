// Reads requests from a connection: the side of the waypoint that applications talk to. Strict: what two readers could understand
// in two ways is refused, and after an error the connection is over.
import { HttpError } from '../http/error.ts'
import { incomplete, scanFields } from './field-scanner.ts'
import { HeadMemory } from './head-memory.ts'
import { defaultHttp1Limits, type Http1Limits } from './limits.ts'
import { type BodyHandler, MessageReader } from './reader.ts'
import { buildRequest, type Http1Request, type RequestRules, scanRequestLine } from './request-head.ts'

export interface RequestHandler extends BodyHandler {
  /** The body follows by `onData` and ends with `onEnd`, which comes for every request. */
  onHead(head: Http1Request): void
}

export interface RequestReaderOptions extends Partial<RequestRules> {
  readonly limits?: Http1Limits
}

const memoryOfRequests = new HeadMemory<Http1Request>()

/** Those of nearly every connection; by others the same bytes may mean something else. */
function usual({ scheme, defaultAuthority, allowConnect }: RequestRules): boolean {
  return scheme === 'http' && defaultAuthority === undefined && !allowConnect
}

/**
 * Pipelined requests come one after the other out of one `push`; an owner that serves one at a time pauses in `onEnd`.
 * After a request that asks for an upgrade (`head.upgrade`) and after CONNECT nothing is read before `acceptTunnel` or
 * `refuseTunnel`: only the answer says what the bytes behind it are.
 */
export class RequestReader extends MessageReader {
  readonly #rules: RequestRules
  readonly #requests: RequestHandler
  readonly #memory: HeadMemory<Http1Request> | undefined
  #keepAlive = true
  #waits = false

  constructor(handler: RequestHandler, options: RequestReaderOptions = {}) {
    super(handler, options.limits ?? defaultHttp1Limits)
    this.#requests = handler
    this.#rules = {
      scheme: options.scheme ?? 'http',
      defaultAuthority: options.defaultAuthority,
      allowConnect: options.allowConnect ?? false,
    }
    this.#memory = usual(this.#rules) && this.limits === defaultHttp1Limits ? memoryOfRequests : undefined
  }

  /** The answer was 101, or 2xx to CONNECT: everything from here on is `onData`; `onEnd` when the peer ends. As `resume`. */
  acceptTunnel(): boolean {
    this.#keepAlive = false
    return this.leaveHeld('raw')
  }

  /** The answer was another one: the next request may follow. As `resume`. */
  refuseTunnel(): boolean {
    return this.leaveHeld('head')
  }

  /** Between two requests: nothing of the next one has come. For closing idle connections. */
  get idle(): boolean {
    return this.between && !this.holding
  }

  protected readHead(bytes: Buffer, from: number, end: number): number {
    const memory = this.#memory
    const again = memory?.recall(bytes, from, end)
    if (memory !== undefined && again !== undefined) {
      const after = from + memory.length
      this.#begin(again)
      return after
    }
    const fields = scanRequestLine(bytes, from, end, this.limits.maxTargetBytes)
    if (fields === incomplete) return incomplete
    const next = scanFields(bytes, fields, end, this.limits.maxFields)
    if (next === incomplete) return incomplete
    const head = buildRequest(bytes, from, next, this.#rules)
    memory?.remember(bytes, from, next, head)
    this.#begin(head)
    return next
  }

  #begin(head: Http1Request): void {
    this.#keepAlive = head.keepAlive
    this.#waits = head.upgrade !== undefined || head.method === 'CONNECT'
    this.beginBody(head.framing)
    this.#requests.onHead(head)
  }

  protected headTooLarge(begun: Buffer): HttpError {
    if (begun.includes(13)) return new HttpError(431, 'head-too-large', 'the head is too long')
    return new HttpError(414, 'target-too-long', 'the request line is too long')
  }

  protected asError(error: HttpError): HttpError {
    return error
  }

  protected afterMessage(): 'head' | 'held' | 'closed' {
    if (this.#waits) {
      this.#waits = false
      return 'held'
    }
    return this.#keepAlive ? 'head' : 'closed'
  }

  protected endedBetween(): undefined {
    return undefined
  }
}

// Leases between two replicas of one waypoint, over a tunnel stream: JSON lines, a request and its grant. Who is at the other end was
// proved by the tunnel: only the waypoint's own identity gets here. Called by peer-leases.ts and by the waypoint's tunnel end.
import type { Duplex } from 'node:stream'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { KnownLevel, LeaseGrant, LeaseRequest } from './leases.ts'

/** A line is a few hundred bytes; the longest key is 256 characters. */
const maxLineBytes = 8 * 1024
/** Answers that wait for an answer at once; more are a defect of the other end. */
const maxWaiting = 65_536

/** Splits what a stream brings into lines; `onEnd` once, with why where it was no orderly end. */
function readLines(stream: Duplex, onLine: (line: string) => void, onEnd: (error?: Error) => void): void {
  let rest = ''
  let over = false
  const end = (error?: Error): void => {
    if (over) return
    over = true
    stream.destroy()
    onEnd(error)
  }
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxLineBytes || lines.some((line) => line.length > maxLineBytes)) {
      end(new Error('a line is too long'))
      return
    }
    for (const line of lines) if (!over) onLine(line)
  })
  stream.on('error', end)
  stream.on('end', () => end())
  stream.on('close', () => end())
}

/** Serves one peer until it goes. @param clock monotonic milliseconds */
export function serveLeases(stream: Duplex, keeper: LeaseKeeper, clock: () => number): void {
  readLines(
    stream,
    (line) => {
      const request = parseRequest(line)
      if (request === undefined) stream.destroy()
      else stream.write(`${JSON.stringify({ limit: request.limit, ...keeper.lease(request, clock()) })}\n`)
    },
    () => {},
  )
}

interface Waiting {
  readonly resolve: (grant: LeaseGrant) => void
  readonly reject: (error: Error) => void
}

/** The asking end of one stream. */
export class LeaseStream {
  readonly #stream: Duplex
  readonly #waiting = new Map<string, Waiting>()
  #closed = false

  constructor(stream: Duplex) {
    this.#stream = stream
    readLines(
      stream,
      (line) => this.#answer(line),
      (error) => this.#end(error ?? new Error('the keeper has gone')),
    )
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Rejects when the stream or `signal` ends first. */
  lease(request: LeaseRequest, signal: AbortSignal): Promise<LeaseGrant> {
    const id = idOf(request.limit, request.sequence)
    if (this.#closed || this.#waiting.size >= maxWaiting) return Promise.reject(new Error('the keeper is not there'))
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.delete(id)
        reject(new Error('no answer in time'))
      }
      const settled = (): void => signal.removeEventListener('abort', abort)
      signal.addEventListener('abort', abort, { once: true })
      this.#waiting.set(id, {
        resolve: (grant) => {
          settled()
          resolve(grant)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      })
      this.#stream.write(`${JSON.stringify(request)}\n`)
    })
  }

  close(): void {
    this.#end(new Error('closing'))
    this.#stream.destroy()
  }

  #answer(line: string): void {
    const grant = parseGrant(line)
    if (grant === undefined) {
      this.close()
      return
    }
    const id = idOf(grant.limit, grant.sequence)
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    waiting?.resolve(grant)
  }

  #end(error: Error): void {
    if (this.#closed) return
    this.#closed = true
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

function idOf(limit: string, sequence: number): string {
  return `${sequence} ${limit}`
}

function parseGrant(line: string): (LeaseGrant & { readonly limit: string }) | undefined {
  const value = parseObject(line)
  const { limit, sequence, tokens, validMs, level } = value
  if (typeof limit !== 'string' || !isCount(sequence) || !isCount(tokens) || !isCount(validMs)) return undefined
  return isCount(level) ? { limit, sequence, tokens, validMs, level } : undefined
}

/** Undefined for anything else: numbers that are none would spoil the keeper's account. */
function parseRequest(line: string): LeaseRequest | undefined {
  const value = parseObject(line)
  const { replica, limit, sequence, held, spent, demandPerSecond } = value
  const size = (typeof value['size'] === 'object' ? value['size'] : undefined) as Record<string, unknown> | undefined
  const { capacity, perSecond } = size ?? {}
  if (typeof replica !== 'string' || replica.length > 1_024 || typeof limit !== 'string' || limit.length > 1_024)
    return undefined
  if (!isCount(sequence) || !isCount(held) || !isCount(spent) || !isCount(demandPerSecond)) return undefined
  if (!isCount(capacity) || !isCount(perSecond) || capacity < 1 || perSecond === 0) return undefined
  const known = parseKnown(value['known'])
  const base = { replica, limit, sequence, held, spent, demandPerSecond, size: { capacity, perSecond }, known }
  const leaving = value['leaving']
  if (leaving === undefined) return base
  if (typeof leaving !== 'object' || leaving === null) return undefined
  const { keeps } = leaving as Readonly<Record<string, unknown>>
  return isCount(keeps) ? { ...base, leaving: { keeps } } : undefined
}

/** Undefined where it is not told. */
function parseKnown(value: unknown): KnownLevel | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { level, ageMs } = value as Readonly<Record<string, unknown>>
  return isCount(level) && isCount(ageMs) ? { level, ageMs } : undefined
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function parseObject(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}

// Bodies of the echo workload, large, slow and endless: uploads, downloads, an echo that answers while it reads, server-sent
// events. Called by http.ts.
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { epochMs } from './counts.ts'
import { type Request, type Response, sendJson } from './messages.ts'

const fillBytes = 64 * 1024
const maximumBytes = 16 * 1024 ** 3

/** `{bytes, sha256}` of the body. */
export async function upload(status: number, request: Request, response: Response): Promise<void> {
  const hash = createHash('sha256')
  let count = 0
  for await (const chunk of request as IncomingMessage as AsyncIterable<Buffer>) {
    count += chunk.length
    hash.update(chunk)
  }
  sendJson(response, status, { bytes: count, sha256: hash.digest('hex') })
}

/** Sends the body back as it comes, no faster than the caller reads. */
export async function pipe(request: Request, response: Response): Promise<void> {
  ;(response as ServerResponse).writeHead(200, { 'content-type': 'application/octet-stream' })
  ;(response as ServerResponse).flushHeaders()
  await pipeline(request as IncomingMessage, response as ServerResponse)
}

/**
 * Streams `n` bytes (`fill` repeated) no faster than the caller reads. With `checksum` it has no length, and ends with the trailer
 * `x-sha256`.
 */
export async function bytes(query: URLSearchParams, request: Request, anyResponse: Response): Promise<void> {
  request.resume()
  const response = anyResponse as ServerResponse
  const count = Number(query.get('n') ?? 'x')
  if (!Number.isSafeInteger(count) || count < 0 || count > maximumBytes) {
    return sendJson(response, 400, { message: `n: a number of bytes from 0 to ${maximumBytes}` })
  }
  const hash = query.has('checksum') ? createHash('sha256') : undefined
  const fill = Buffer.alloc(fillBytes, query.get('fill') ?? '0123456789abcdef')
  const framing = hash === undefined ? { 'content-length': String(count) } : { trailer: 'x-sha256' }
  response.writeHead(200, { 'content-type': 'application/octet-stream', ...framing })
  for (let sent = 0; sent < count; ) {
    const part = fill.subarray(0, Math.min(fillBytes, count - sent))
    sent += part.length
    hash?.update(part)
    if (!response.write(part) && !(await drained(response))) return
  }
  if (hash !== undefined) response.addTrailers({ 'x-sha256': hash.digest('hex') })
  response.end()
}

function drained(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (alive: boolean) => (): void => {
      response.removeListener('drain', onDrain)
      response.removeListener('close', onClose)
      resolve(alive)
    }
    const onDrain = done(true)
    const onClose = done(false)
    response.once('drain', onDrain)
    response.once('close', onClose)
  })
}

/** Open streams of server-sent events, by series: `next` writes to all of them. */
export class EventStreams {
  readonly #open = new Map<string, Set<() => void>>()

  /** Writes an event at once and stays open; each event tells when it was written. */
  open(uuid: string, request: Request, anyResponse: Response): void {
    const response = anyResponse as ServerResponse
    request.resume()
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    let sequence = 0
    const write = (): void => {
      response.write(`id: ${sequence}\ndata: ${JSON.stringify({ sequence: sequence++, writtenAt: epochMs() })}\n\n`)
    }
    write()
    const streams = this.#open.get(uuid) ?? new Set()
    this.#open.set(uuid, streams.add(write))
    response.once('close', () => {
      streams.delete(write)
      if (streams.size === 0) this.#open.delete(uuid)
    })
  }

  /** @returns how many streams got an event */
  next(uuid: string): number {
    const streams = this.#open.get(uuid) ?? new Set()
    for (const write of streams) write()
    return streams.size
  }
}

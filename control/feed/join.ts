// The first contact of a host, over HTTPS without a client certificate: the trust bundle, and a token against a certificate.
// The host knows the root's fingerprint from its token, the control plane knows the host by it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { deadline } from '../../core/base/deadline.ts'
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import { object, text } from '../../core/feed/shape.ts'
import type { Authority } from '../ca/authority.ts'
import { publicKeyOfCsr } from '../ca/x509.ts'
import { isHostName } from '../grants.ts'
import type { Hosts } from '../hosts.ts'
import type { Tokens } from '../tokens.ts'

const maxBodyBytes = 64 * 1024
const bodyMs = 10_000

const joinRequest = object({ token: text(512, 1), host: text(253, 1), csr: text(16 * 1024, 1) })

export interface JoinDeps {
  readonly authority: Authority
  readonly hosts: Hosts
  readonly tokens: Tokens
  readonly log: Logger
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Serves `GET /v1/ca` and `POST /v1/join`; everything else is 404. Never rejects. */
export async function handleJoin(deps: JoinDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // Kept, since a request that is cut off loses its socket.
  const peer = request.socket.remoteAddress ?? 'unknown'
  let answer: Answer
  try {
    answer = await answerTo(deps, request, peer)
  } catch (error: unknown) {
    const failure = asMeshError(error, 'STORE_FAILED')
    deps.log.warn({ peer, code: failure.code }, `join refused: ${failure.message}`)
    answer = json(statusOf(failure), { code: failure.code, reason: failure.message })
  }
  if (response.destroyed) return
  // A refused request may have a body that nobody read: the rest of it is thrown away until the request deadline.
  request.resume()
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    connection: 'close',
  })
  response.end(answer.body)
}

async function answerTo(deps: JoinDeps, request: IncomingMessage, peer: string): Promise<Answer> {
  const [path] = (request.url ?? '').split('?')
  if (path === '/v1/ca' && request.method === 'GET') {
    return { status: 200, type: 'application/x-pem-file', body: deps.authority.bundle }
  }
  if (path === '/v1/join' && request.method === 'POST') return join(deps, request, peer)
  return json(404, { code: 'RESOURCE_NOT_FOUND', reason: 'only /v1/ca, /v1/join and /v1/feed are here' })
}

async function join(deps: JoinDeps, request: IncomingMessage, peer: string): Promise<Answer> {
  const { token, host, csr } = joinRequest(await readJson(request), '')
  if (!isHostName(host)) throw new MeshError('FEED_PROTOCOL', 'host: expected a DNS name in lower case')
  // Before the token is used up: a request that cannot be signed must not cost it.
  await publicKeyOfCsr(csr)
  const grant = await deps.tokens.redeem(token, host, peer)
  const { chain } = await deps.hosts.join(grant, csr)
  deps.log.info({ host, identities: grant.identities }, 'host joined')
  const { bundle, trustDomain } = deps.authority
  return json(200, { chain, bundle, trustDomain })
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const signal = deadline(bodyMs)
  const stop = (): void => {
    request.destroy()
  }
  signal.addEventListener('abort', stop, { once: true })
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxBodyBytes) throw new MeshError('FEED_PROTOCOL', `a join request is at most ${maxBodyBytes} bytes`)
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch (error: unknown) {
    throw error instanceof MeshError ? error : new MeshError('FEED_PROTOCOL', 'the body is not JSON', { cause: error })
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function statusOf(error: MeshError): number {
  switch (error.code) {
    case 'FEED_PROTOCOL':
    case 'IDENTITY_INVALID':
      return 400
    case 'TOKEN_INVALID':
    case 'NODE_UNAUTHORIZED':
      return 401
    default:
      return 503
  }
}

function json(status: number, value: object): Answer {
  return { status, type: 'application/json', body: JSON.stringify(value) }
}

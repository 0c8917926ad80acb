// The first contact of a host with its mesh: the token names the root certificate, so the host knows whom it talks to
// before it shows the token's secret. Called by membership.ts when there is no host certificate yet, and by `culvert join`.
import { createHash, type X509Certificate } from 'node:crypto'
import { type RequestOptions, request } from 'node:https'
import type { PeerCertificate } from 'node:tls'
import { deadline } from '../base/deadline.ts'
import { asMeshError, type ErrorCode, errorCodes, MeshError } from '../base/errors.ts'
import { parseCertificates } from '../identity/certificate.ts'
import { createCsr, createKeyPair } from '../identity/csr.ts'
import { hostIdentity } from '../identity/spiffe.ts'
import { checkControlIdentity } from './dial.ts'
import type { HostCredentials } from './host-certificate.ts'

export interface JoinOptions {
  readonly control: { readonly host: string; readonly port: number }
  readonly host: string
  /** `culvert1.<id>.<secret>.<sha256 of the root certificate, hex>` */
  readonly token: string
  readonly signal: AbortSignal
}

export interface JoinToken {
  readonly id: string
  readonly fingerprint: string
}

const stepMs = 10_000
const answerBytes = 1024 * 1024
const tokenPattern = /^culvert1\.([A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_-]{1,256}\.([0-9a-f]{64})$/

/** Takes a token apart. Throws TOKEN_INVALID; the secret is never in the message. */
export function parseToken(token: string): JoinToken {
  const match = tokenPattern.exec(token.trim())
  if (match === null) {
    throw new MeshError(
      'TOKEN_INVALID',
      'the join token is malformed: expected culvert1.<id>.<secret>.<fingerprint>, as `culvert token create` prints it',
    )
  }
  return { id: match[1] ?? '', fingerprint: match[2] ?? '' }
}

/**
 * Joins. Throws TOKEN_INVALID (expired, used, unknown), NODE_UNAUTHORIZED (another host's token), IDENTITY_INVALID
 * (the control plane is not the token's) or FEED_CLOSED (unreachable), each saying what to check.
 */
export async function joinMesh(options: JoinOptions): Promise<HostCredentials> {
  const { fingerprint, id } = parseToken(options.token)
  const bundle = await call(options, { method: 'GET', path: '/v1/ca', rejectUnauthorized: false })
  const root = rootOf(bundle, fingerprint, options)
  const trustDomain = await learnTrustDomain(options, root)
  const { privateKey, pem } = createKeyPair()
  const csr = createCsr(privateKey, hostIdentity(trustDomain, options.host))
  const body = JSON.stringify({ token: options.token.trim(), host: options.host, csr })
  const answer = readAnswer(
    await call(options, { method: 'POST', path: '/v1/join', ...verified(root, trustDomain) }, body),
  )
  if (answer.trustDomain !== trustDomain) {
    throw new MeshError('IDENTITY_INVALID', `token ${id}: the control plane speaks for two trust domains`)
  }
  return { host: options.host, trustDomain, key: pem, chain: answer.chain, bundle: answer.bundle }
}

function rootOf(bundle: string, fingerprint: string, { control }: JoinOptions): string {
  const root = readBundle(bundle).find((certificate) => sha256(certificate) === fingerprint)
  if (root !== undefined) return root.toString()
  throw new MeshError(
    'IDENTITY_INVALID',
    `the control plane at ${control.host}:${control.port} does not have the root certificate that the token names ` +
      `(SHA-256 ${fingerprint}): is --control right, and is the token from this mesh?`,
  )
}

function readBundle(bundle: string): readonly X509Certificate[] {
  try {
    return parseCertificates(bundle)
  } catch (error: unknown) {
    throw new MeshError('IDENTITY_INVALID', 'GET /v1/ca answered no certificate: is --control the feed port?', {
      cause: error,
    })
  }
}

function sha256(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('hex')
}

/** The trust domain in the server's certificate, which must chain to `root` and be the control plane's. */
async function learnTrustDomain(options: JoinOptions, root: string): Promise<string> {
  let trustDomain = ''
  const checkServerIdentity = (_: string, certificate: PeerCertificate): Error | undefined => {
    trustDomain = /URI:spiffe:\/\/([^/,]+)\/culvert\/control/.exec(certificate.subjectaltname ?? '')?.[1] ?? ''
    return checkControlIdentity(trustDomain, certificate)
  }
  await call(options, { method: 'GET', path: '/v1/ca', ca: root, minVersion: 'TLSv1.3', checkServerIdentity })
  return trustDomain
}

function verified(root: string, trustDomain: string): RequestOptions {
  return {
    ca: root,
    minVersion: 'TLSv1.3',
    checkServerIdentity: (_, certificate) => checkControlIdentity(trustDomain, certificate),
  }
}

/** One HTTPS request on a connection of its own; the body of a 2xx answer. */
function call(options: JoinOptions, request_: RequestOptions, body = ''): Promise<string> {
  const { control } = options
  const signal = deadline(stepMs, options.signal)
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(unreachable(error, options, signal))
    const headers = body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const sent = request(
      { host: control.host, port: control.port, servername: '', agent: false, headers, signal, ...request_ },
      (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > answerBytes) sent.destroy(new Error('the answer is too long'))
          else chunks.push(chunk)
        })
        response.on('error', fail)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const status = response.statusCode ?? 0
          if (status >= 200 && status < 300) resolve(text)
          else reject(refusal(status, text, options.host))
        })
      },
    )
    sent.on('error', fail)
    sent.end(body)
  })
}

function unreachable(error: unknown, { control }: JoinOptions, signal: AbortSignal): MeshError {
  const cause = asMeshError(error, 'FEED_CLOSED')
  if (cause !== error && !isCertificateProblem(error)) {
    const what = signal.aborted ? `no answer within ${stepMs} ms` : cause.message
    return new MeshError(
      'FEED_CLOSED',
      `cannot reach the control plane at ${control.host}:${control.port}: ${what}; is it running, is --control its ` +
        'feed address, does a firewall block the port?',
      { cause: error },
    )
  }
  if (cause === error) return cause
  return new MeshError('IDENTITY_INVALID', `the control plane's certificate is not to be trusted: ${cause.message}`, {
    cause: error,
  })
}

function isCertificateProblem(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /CERT|SIGNATURE|ISSUER|SELF_SIGNED|CHAIN/.test(code)
}

/** The error that an answer names, whatever shape: `{code, reason|message}` or plain text. */
function refusal(status: number, text: string, host: string): MeshError {
  const fields = parseObject(text)
  const code = Object.hasOwn(errorCodes, String(fields['code'])) ? (fields['code'] as ErrorCode) : codeOf(status)
  const reason = String(fields['reason'] ?? fields['message'] ?? (text.slice(0, 200) || `status ${status}`))
  return new MeshError(
    code,
    `host ${host} may not join: ${reason} (make a new token with \`culvert token create --host ${host}\`)`,
  )
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return 'TOKEN_INVALID'
  return status === 403 ? 'NODE_UNAUTHORIZED' : 'FEED_PROTOCOL'
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}

function readAnswer(text: string): { readonly chain: string; readonly bundle: string; readonly trustDomain: string } {
  const { chain, bundle, trustDomain } = parseObject(text)
  if (typeof chain === 'string' && typeof bundle === 'string' && typeof trustDomain === 'string') {
    return { chain, bundle, trustDomain }
  }
  throw new MeshError('FEED_PROTOCOL', 'the answer to /v1/join is not {chain, bundle, trustDomain}')
}

// An API server in this process with a store in a temporary file, and a small client for it.
import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Caller, Handler } from '../../control/api/request.ts'
import { type Api, startApi } from '../../control/api/server.ts'
import { createAuthorityCertificate, createLeafCertificate, createP256Key } from '../../control/ca/x509.ts'
import { GarbageCollector } from '../../control/gc.ts'
import { openSqliteStore } from '../../control/store/sqlite.ts'
import type { Store } from '../../control/store/store.ts'
import { nullLogger } from '../../core/base/log.ts'
import type { MeshObject } from '../../core/model/resource.ts'

export const policies = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies'
export const services = '/api/v1/namespaces/shop/services'

export const policy = (name: string, spec: object = {}) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name, labels: { team: 'a' } },
  spec,
})

export const service = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec },
})

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** The parsed JSON body. */
  readonly body: Record<string, unknown> & { metadata?: Record<string, unknown>; items?: Record<string, unknown>[] }
}

export interface RawAnswer extends Pick<Answer, 'status' | 'headers'> {
  readonly bytes: Buffer
}

export interface CallOptions {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly token?: string | undefined
  /** Sends the body without saying its length first. */
  readonly chunked?: boolean
}

export interface WatchLine {
  readonly type: string
  readonly object: MeshObject & { rows?: unknown[]; columnDefinitions?: unknown[]; code?: number }
}

export interface ApiWorld {
  readonly api: Api
  readonly store: Store
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  /** The answer as bytes. */
  raw(method: string, path: string, options?: CallOptions): Promise<RawAnswer>
  /** Lines of a watch as they come; `close` ends it. */
  watch(
    path: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{
    next(): Promise<WatchLine | undefined>
    close(): void
  }>
}

const callers: Readonly<Record<string, Caller>> = {
  admin: { name: 'admin', groups: ['system:masters'] },
  viewer: { name: 'viewer', groups: [], readOnly: true },
}

let vips = 0

/** Two virtual IPs, of which those that the service has are kept. */
async function allocate(service: MeshObject): Promise<MeshObject> {
  const spec = service.spec ?? {}
  if (spec['type'] === 'ExternalName' || spec['clusterIP'] === 'None') return service
  vips += 1
  const clusterIP = spec['clusterIP'] ?? `240.240.${(vips >> 8) & 255}.${vips & 255}`
  return { ...service, spec: { ...spec, clusterIP, clusterIPs: spec['clusterIPs'] ?? [clusterIP] } }
}

const day = 86_400_000

async function certificate() {
  const validity = { notBefore: Date.now() - 3_600_000, notAfter: Date.now() + day }
  const issuer = await createAuthorityCertificate({ name: 'test', trustDomain: 'test', pathLength: 0, validity })
  const { keyPem, publicKey } = createP256Key()
  const names = { uri: 'spiffe://test/culvert/control', dns: ['localhost'], ips: ['127.0.0.1'] }
  const leaf = await createLeafCertificate({ publicKey, names, validity, issuer })
  return { key: keyPem, cert: leaf.certificatePem, ca: issuer.certificatePem }
}

export async function apiWorld(
  t: Test,
  options: {
    routes?: Readonly<Record<string, Handler>>
    notReady?: () => string | undefined
    storeTrouble?: () => string | undefined
    historyLimit?: number
    /** Of somebody else, who closes it: several worlds are several replicas. */
    store?: Store
  } = {},
): Promise<ApiWorld> {
  const { historyLimit = 1000, routes = {}, notReady, storeTrouble } = options
  const store = options.store ?? (await openSqliteStore(join(t.testdir(), 'store.db'), { historyLimit }))
  const { key, cert, ca } = await certificate()
  const api = await startApi({
    store,
    listen: { address: '127.0.0.1', port: 0 },
    tls: { key, cert },
    authenticate: async (request) => callers[request.headers.authorization?.replace('Bearer ', '') ?? ''],
    allocate,
    extra: routes,
    ...(notReady === undefined ? {} : { notReady }),
    ...(storeTrouble === undefined ? {} : { storeTrouble }),
    log: nullLogger(),
  })
  const collector = new GarbageCollector({ store, resources: api.resources, log: nullLogger() })
  collector.start()
  const agent = new Agent({ ca, keepAlive: true })
  t.teardown(async () => {
    agent.destroy()
    await collector.close()
    await api.close()
    if (options.store === undefined) await store.close()
  })
  for (const name of ['default', 'shop']) {
    await api.resources.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
  const base = { agent, host: '127.0.0.1', port: api.address.port, servername: 'localhost' }
  return {
    api,
    store,
    call: (method, path, call = {}) => callApi({ ...base, method, path }, call),
    raw: (method, path, call = {}) => callRaw({ ...base, method, path }, call),
    watch: async (path, headers = {}) => watchApi(await open({ ...base, method: 'GET', path }, { headers })),
  }
}

type Target = RequestOptions

function open(
  target: Target,
  { body, headers = {}, token = 'admin', chunked = false }: CallOptions,
): Promise<IncomingMessage> {
  const text = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  const length = chunked || text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }
  const content = text === undefined ? {} : { 'content-type': 'application/json', ...length }
  const authorization = token === '' ? {} : { authorization: `Bearer ${token}` }
  return new Promise((resolve, reject) => {
    const request = httpsRequest({ ...target, headers: { ...content, ...authorization, ...headers } }, resolve)
    request.setTimeout(20_000, () => request.destroy(new Error('no answer')))
    request.on('error', reject)
    request.end(text)
  })
}

async function callRaw(target: Target, options: CallOptions): Promise<RawAnswer> {
  const response = await open(target, options)
  const pieces: Buffer[] = []
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece)
  return { status: response.statusCode!, headers: response.headers, bytes: Buffer.concat(pieces) }
}

async function callApi(target: Target, options: CallOptions): Promise<Answer> {
  const { status, headers, bytes } = await callRaw(target, options)
  const text = bytes.toString()
  const json = headers['content-type']?.startsWith('application/json') === true && text !== ''
  return { status, headers, text, body: json ? JSON.parse(text) : {} }
}

function watchApi(response: IncomingMessage) {
  const lines = readLines(response)
  return {
    async next(): Promise<WatchLine | undefined> {
      const { value, done } = await lines.next()
      return done === true ? undefined : (JSON.parse(value) as WatchLine)
    },
    close: () => response.destroy(),
  }
}

async function* readLines(response: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  for await (const piece of response.setEncoding('utf8') as AsyncIterable<string>) {
    const parts = (rest + piece).split('\n')
    rest = parts.pop()!
    yield* parts
  }
}

/** A Status of that code and reason. */
export function isStatus(t: Test, answer: Answer, code: number, reason: string, message?: RegExp): void {
  t.equal(answer.status, code, answer.text)
  t.match(answer.body, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason }, reason)
  if (message !== undefined) t.match(answer.body['message'], message)
}

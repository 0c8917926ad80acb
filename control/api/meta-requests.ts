// Answers about the API instead of its objects: discovery, OpenAPI, version, health. The HTTP shell (handler.ts) calls it.
import type { IncomingMessage } from 'node:http'
import { acceptedTypes, type MediaRange } from './accept.ts'
import { aggregated, aggregatedVersion, apiGroup, apiGroups, apiResources, coreVersions } from './discovery.ts'
import { ApiError } from './errors.ts'
import type { ApiDocument, OpenApiDocuments } from './openapi/documents.ts'
import { gnosticAccepted, gnosticType } from './openapi/gnostic.ts'
import type { ResourceTarget, Target } from './paths.ts'
import type { ApiAnswer } from './request.ts'

/** `GET /api`, `/apis` and below. Throws MethodNotAllowed. */
export function answerDiscovery(
  target: Exclude<Target, ResourceTarget>,
  method: string,
  request: IncomingMessage,
): ApiAnswer {
  onlyGet(method)
  if (target.type === 'group') return { status: 200, body: apiGroup(target.group) }
  if (target.type === 'resources') return { status: 200, body: apiResources(target.group, target.version) }
  const core = target.type === 'core-versions'
  const version = aggregatedVersion(acceptedTypes(request.headers.accept))
  const headers = { vary: 'accept' }
  if (version === undefined) return { status: 200, body: core ? coreVersions() : apiGroups(), headers }
  const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
  return { status: 200, body: aggregated(version, core), type, headers }
}

const v3 = '/openapi/v3'
const year = 365 * 24 * 3600

/** `GET /openapi/v2`, `/openapi/v3` and below; undefined for other paths. */
export function answerOpenApi(
  documents: OpenApiDocuments,
  method: string,
  url: URL,
  request: IncomingMessage,
): ApiAnswer | undefined {
  const path = url.pathname.replace(/\/$/, '')
  if (path !== '/openapi/v2' && path !== v3 && !path.startsWith(`${v3}/`)) return undefined
  onlyGet(method)
  if (path === '/openapi/v2') return answerSwagger(documents, request)
  if (path === v3) return documentAnswer(documents.index(), request)
  const name = path.slice(v3.length + 1)
  const document = documents.document(name)
  if (document === undefined) throw new ApiError('NotFound', 'the server could not find the requested resource')
  const hash = url.searchParams.get('hash')
  if (hash === null || hash === '') return documentAnswer(document, request)
  if (hash !== document.hash) {
    const location = `${v3}/${name}?hash=${document.hash}`
    return { status: 301, body: '', type: 'text/plain; charset=utf-8', headers: { location } }
  }
  const headers = { 'cache-control': `public, immutable, max-age=${year}` }
  return documentAnswer(document, request, headers)
}

/** JSON, or what kubectl 1.27 and 1.28 take only. */
function answerSwagger(documents: OpenApiDocuments, request: IncomingMessage): ApiAnswer {
  const best = acceptedTypes(request.headers.accept).find((range) => takesGnostic(range) || takesJson(range))
  if (best === undefined || !takesGnostic(best)) return documentAnswer(documents.swagger(), request)
  return sent(documents.swaggerBytes(), request, gnosticType, {})
}

function documentAnswer(
  document: ApiDocument,
  request: IncomingMessage,
  more: Readonly<Record<string, string>> = {},
): ApiAnswer {
  if (!acceptedTypes(request.headers.accept).some(takesJson)) {
    throw new ApiError('NotAcceptable', 'OpenAPI documents are served as application/json only')
  }
  return sent(document, request, 'application/json', more)
}

function sent(
  { body, hash }: ApiDocument,
  request: IncomingMessage,
  type: string,
  more: Readonly<Record<string, string>>,
): ApiAnswer {
  const headers = { etag: `"${hash}"`, vary: 'accept', ...more }
  const known = String(request.headers['if-none-match'] ?? '')
  const same = known.split(',').some((tag) => tag.trim().replace(/^W\//, '') === `"${hash}"`)
  return { status: same ? 304 : 200, body, type, headers }
}

function takesGnostic({ type }: MediaRange): boolean {
  return type === gnosticAccepted || type === gnosticType
}

function takesJson({ type }: MediaRange): boolean {
  return type === 'application/json' || type === 'application/*' || type === '*/*'
}

function onlyGet(method: string): void {
  if (method !== 'GET') throw new ApiError('MethodNotAllowed', `the server does not allow ${method} on discovery`)
}

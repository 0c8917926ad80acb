// The API routes that are Culvert's own: join tokens, hosts and the state of the mesh. Used by the CLI and the dashboard; the
// API server has authenticated the caller.
import { MeshError } from '../core/base/errors.ts'
import { boolean, integer, list, object, text } from '../core/feed/shape.ts'
import { hostIdentity } from '../core/identity/spiffe.ts'
import type {
  CertificateStatus,
  HostStatus,
  MeshStatus,
  ReplicaStatus,
  WorkloadStatus,
} from '../core/model/mesh-status.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { ApiError } from './api/errors.ts'
import type { ApiRequest, Handler } from './api/request.ts'
import type { Authority } from './ca/authority.ts'
import { annotation } from './compile/order.ts'
import { names } from './compile/settings.ts'
import { addressesOf, serviceAccountOf, workloadUid } from './compile/workload-entry.ts'
import { type EntryIndex, viewByEntries } from './entries.ts'
import type { SessionStatus } from './feed/session.ts'
import { checkGrant } from './grants.ts'
import type { HostCertificate, HostRecord, Hosts } from './hosts.ts'
import type { IssuedCertificates } from './issued.ts'
import type { DeltaLog } from './publish/delta-log.ts'
import type { Reports } from './reports.ts'
import type { Tokens } from './tokens.ts'

export interface RoutesDeps {
  readonly authority: Authority
  readonly hosts: Hosts
  readonly tokens: Tokens
  readonly reports: Reports
  readonly entries: EntryIndex
  readonly deltas: DeltaLog
  readonly publisher: { readonly revision: number }
  readonly replicas: () => readonly ReplicaStatus[]
  /** Of a connected host, on whichever replica. */
  readonly session: (host: string) => SessionStatus | undefined
  readonly issued: Pick<IssuedCertificates, 'list'>
  /** The id of the replica that a host is connected to. */
  readonly replicaOf: (host: string) => string | undefined
  /** Since when a host is not connected, in milliseconds since 1970. */
  readonly awaySince: (host: string) => number | undefined
}

const defaultTtlSeconds = 3600
const maxTtlSeconds = 30 * 24 * 3600
const hostsPath = '/culvert/v1/hosts'

const tokenRequest = object(
  { host: text(253, 1), identities: list(text(512, 1), 1000) },
  { ttlSeconds: integer(1, maxTtlSeconds), cidrs: list(text(64, 1), 1000), waypoint: boolean },
)

export function controlRoutes(deps: RoutesDeps): Readonly<Record<string, Handler>> {
  return {
    'POST /culvert/v1/tokens': (request) => createToken(deps, request),
    [`GET ${hostsPath}`]: async () => ({ status: 200, body: { hosts: await deps.hosts.list() } }),
    [`DELETE ${hostsPath}/`]: (request) => deleteHost(deps, request),
    'GET /culvert/v1/certificates': async () => ({ status: 200, body: { certificates: await certificates(deps) } }),
    'GET /culvert/v1/status': async () => ({ status: 200, body: await meshStatus(deps) }),
  }
}

async function createToken(deps: RoutesDeps, request: ApiRequest): ReturnType<Handler> {
  const body = parsed(await request.body())
  const { host, identities, cidrs = [], waypoint } = body
  const grant = checkGrant({ host, identities, cidrs, ...(waypoint === true ? { waypoint } : {}) })
  const { token, expiresAt } = await deps.tokens.create(grant, (body.ttlSeconds ?? defaultTtlSeconds) * 1000)
  return { status: 201, body: { token, expires: new Date(expiresAt).toISOString(), host: grant.host } }
}

function parsed(body: unknown): ReturnType<typeof tokenRequest> {
  try {
    return tokenRequest(body, '')
  } catch (error: unknown) {
    throw new ApiError('BadRequest', error instanceof MeshError ? error.message : 'the body is not understood')
  }
}

/** Revokes the host's certificates, closes its feed and forgets its workloads. */
async function deleteHost(deps: RoutesDeps, request: ApiRequest): ReturnType<Handler> {
  const host = decodeURIComponent(request.url.pathname.slice(hostsPath.length + 1))
  if (!(await deps.hosts.remove(host))) throw new ApiError('NotFound', `hosts "${host}" not found`)
  await deps.reports.removeHost(host)
  return { status: 200, body: { host } }
}

/** Of hosts, then of the workloads on them. */
async function certificates({ authority, hosts, issued }: RoutesDeps): Promise<readonly CertificateStatus[]> {
  const records = await hosts.list()
  const own = records.flatMap(({ host, certificates }) => {
    const identity = hostIdentity(authority.trustDomain, host)
    return certificates.map((certificate) => ({ host, identity, ...certificateStatus(certificate) }))
  })
  return [...own, ...(await issued.list(new Set(records.map(({ host }) => host))))]
}

async function meshStatus(deps: RoutesDeps): Promise<MeshStatus> {
  const { authority, deltas } = deps
  const hosts = await deps.hosts.list()
  const { rootFingerprint, issuingNotAfter } = authority
  return {
    trustDomain: authority.trustDomain,
    epoch: deltas.epoch,
    version: deltas.version,
    revision: deps.publisher.revision,
    certificateAuthority: { rootFingerprint, issuingNotAfter: new Date(issuingNotAfter).toISOString() },
    replicas: deps.replicas(),
    hosts: hosts.map((record) => hostStatus(record, deps)),
  }
}

function hostStatus(record: HostRecord, deps: RoutesDeps): HostStatus {
  const { host, identities, certificates } = record
  const session = deps.session(host)
  const version = session?.ackedVersion ?? 0
  const lag = deps.deltas.versionsSince(version)
  const behindSince = lag === 0 ? undefined : timeText(deps.deltas.changedAfter(version))
  const lastRefusal = session?.lastRefusal
  return {
    host,
    kind: session?.view ?? viewByEntries(deps.entries.reportedBy(host)),
    ...connectionStatus(host, session, deps),
    version,
    lag,
    ...(behindSince === undefined ? {} : { behindSince }),
    refused: session?.refusedResources ?? [],
    ...(lastRefusal === undefined ? {} : { lastRefusal }),
    refusedWorkloads: session?.refusedReports ?? [],
    workloads: workloadsOn(host, session, deps),
    identities,
    certificates: certificates.map(certificateStatus),
  }
}

function connectionStatus(
  host: string,
  session: SessionStatus | undefined,
  deps: RoutesDeps,
): Pick<HostStatus, 'connected' | 'connectedSince' | 'build' | 'replica' | 'awaySince'> {
  if (session === undefined) {
    const awaySince = timeText(deps.awaySince(host))
    return { connected: false, ...(awaySince === undefined ? {} : { awaySince }) }
  }
  const { build, connectedAt } = session
  const replica = deps.replicaOf(host)
  const connectedSince = new Date(connectedAt).toISOString()
  return { connected: true, connectedSince, build, ...(replica === undefined ? {} : { replica }) }
}

function workloadsOn(host: string, session: SessionStatus | undefined, { entries }: RoutesDeps) {
  const reports = new Map(session?.reports.map((report) => [report.uid, report]))
  return entries.onHost(host).map((entry) => {
    const uncapturedConnections = reports.get(workloadUid(entry))?.uncapturedConnections
    return { ...workloadStatus(entry), ...(uncapturedConnections === undefined ? {} : { uncapturedConnections }) }
  })
}

function timeText(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString()
}

function workloadStatus(entry: MeshObject): WorkloadStatus {
  return {
    uid: workloadUid(entry),
    name: entry.metadata.name,
    namespace: entry.metadata.namespace ?? '',
    serviceAccount: serviceAccountOf(entry),
    addresses: addressesOf(entry),
    captured: annotation(entry, names.redirection) === 'enabled',
  }
}

function certificateStatus({ serial, notBefore, notAfter }: HostCertificate): HostStatus['certificates'][number] {
  const begin = timeText(notBefore)
  return {
    serial,
    ...(begin === undefined ? {} : { notBefore: begin }),
    notAfter: new Date(notAfter).toISOString(),
  }
}

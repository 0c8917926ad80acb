// The control plane's one wiring place: store, certificate authority, resources, compile and publish, feed and API. Called by
// cli/commands/control.ts and by tests. Everything that it knows is in the state directory: it may be killed at any time.
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { MeshError } from '../core/base/errors.ts'
import { createLogger, type Logger } from '../core/base/log.ts'
import type { HostPort } from '../core/base/parsers.ts'
import { controlIdentity } from '../core/identity/spiffe.ts'
import { digestOf } from '../core/model/digest.ts'
import { kindOf } from '../core/model/kinds.ts'
import { canonicalAddress, type SocketAddress } from '../core/net/address.ts'
import { warmThreadPool } from '../core/net/sys.ts'
import { ClaimIndex } from './api/claims.ts'
import { Resources } from './api/resources.ts'
import { startApi } from './api/server.ts'
import type { Authority } from './ca/authority.ts'
import { ServerCertificate } from './ca/server-certificate.ts'
import type { LeafNames } from './ca/x509.ts'
import { rules } from './compile/rules.ts'
import { type CompileSettings, compileFormat } from './compile/settings.ts'
import type { ControlConfig } from './config.ts'
import { ConfigDirectory } from './directory.ts'
import { EntryIndex } from './entries.ts'
import type { MeshEvent } from './events/event.ts'
import { expireEvents } from './events/expiry.ts'
import { hostAway, hostBack, hostJoined, hostRevoked, leaderElected, vipsExhausted } from './events/mesh-events.ts'
import { Presence } from './events/presence.ts'
import { EventRecorder } from './events/recorder.ts'
import { FeedServer } from './feed/server.ts'
import { GarbageCollector } from './gc.ts'
import { Hosts } from './hosts.ts'
import { IssuedCertificates } from './issued.ts'
import { apiToken, bearerAuthentication, lastApiAddress, publishApi } from './kubeconfig.ts'
import { Acknowledged } from './publish/acknowledged.ts'
import { DeltaLog } from './publish/delta-log.ts'
import { encodedViews } from './publish/encoded.ts'
import { LayerSeven } from './publish/layer-seven.ts'
import { MeshInventory } from './publish/mesh-inventory.ts'
import { Publisher } from './publish/publisher.ts'
import { ResolvedRefs } from './publish/resolved-refs.ts'
import { StatusWriter } from './publish/status-writer.ts'
import { WholeModel } from './publish/whole-model.ts'
import type { FeedPlace } from './replicas/registry.ts'
import { Replica } from './replicas/replica.ts'
import { Reports } from './reports.ts'
import { explainRoutes } from './routes/explain.ts'
import { controlRoutes } from './routes.ts'
import { openAuthority, openSecrets } from './secrets.ts'
import { rootNamespace, seed, seededNamespaces } from './seed.ts'
import { privateDirectory } from './state-files.ts'
import { StoreFollower } from './store/follower.ts'
import { openStore } from './store/open.ts'
import { Tokens } from './tokens.ts'
import { VipAllocator, vipRanges } from './vips.ts'

export interface ControlDeps {
  readonly log?: Logger
  /** Version of this build, for `/version`. */
  readonly build?: string
}

export interface Control {
  readonly addresses: { readonly api: SocketAddress; readonly feed: SocketAddress }
  /** Resolves once the first state is compiled and hosts are served. */
  readonly ready: Promise<void>
  /** Stops gracefully. A second call joins the first. */
  close(): Promise<void>
}

const serverLifetimeMs = 24 * 60 * 60 * 1000
const istioRootNamespace = 'istio-system'
/** Where nobody serves events they are only logged. */
const eventKind = kindOf('v1', 'Event')

/** Throws CONFIG_INVALID (the configuration, or files of --config) or STORE_FAILED, and then leaves nothing open. */
export async function build(config: ControlConfig, deps: ControlDeps = {}): Promise<Control> {
  const log = deps.log ?? createLogger({ name: 'control', level: config.logLevel })
  const opened = new AsyncDisposableStack()
  try {
    const control = await assemble(config, { build: deps.build ?? '0.0.0', log }, opened)
    let closing: Promise<void> | undefined
    return {
      ...control,
      close: () => {
        closing ??= opened.disposeAsync()
        return closing
      },
    }
  } catch (error: unknown) {
    await opened.disposeAsync()
    throw error
  }
}

interface Base {
  readonly log: Logger
  readonly build: string
}

async function assemble(
  config: ControlConfig,
  { log, build }: Base,
  opened: AsyncDisposableStack,
): Promise<Omit<Control, 'close'>> {
  const stateDir = await privateDirectory(config.stateDir)
  await warmThreadPool()
  const store = await openStore(config, stateDir, log)
  opened.defer(() => store.close())
  const secrets = await openSecrets(config, stateDir, store)
  const authority = await openAuthority(config, secrets.keys, store, log)
  let events: EventRecorder | undefined
  const record = (event: MeshEvent): void => events?.record(event)
  const vips = new VipAllocator({ store, exhausted: (service, message) => record(vipsExhausted(service, message)) })
  const allocate = vips.allocate.bind(vips)
  const settings = settingsOf(config)
  const claims = new ClaimIndex(store)
  const inventory = new MeshInventory({ ...settings.mesh, rootNamespaces: settings.rootNamespaces })
  const advise = inventory.advise.bind(inventory)
  const resources = new Resources({ store, allocate, claims, advise, protectedNamespaces: seededNamespaces })
  await seed(resources)
  events = new EventRecorder({ resources, kind: eventKind, instance: hostname(), log })
  opened.defer(() => events?.close())
  const collector = new GarbageCollector({ store, resources, log })
  opened.defer(() => collector.close())
  await openDirectory(config, resources, log, opened)
  const deltas = new DeltaLog(epochOf(authority, settings, build))
  let replica: Replica | undefined
  const sessionOf = (host: string) => replica?.session(host)
  const entries = new EntryIndex()
  const acknowledged = new Acknowledged({ entries, session: sessionOf, epoch: () => deltas.epoch })
  const status = new StatusWriter({
    resources,
    references: new ResolvedRefs(inventory.objects),
    layerSeven: new LayerSeven({ inventory: inventory.objects, entries, service: deltas.service.bind(deltas) }),
    hosts: () => acknowledged.hosts,
    leads: () => replica?.leads ?? false,
    isCompiled: (kind) => rules.some((rule) => rule.kind.kind === kind),
    record,
    log,
  })
  opened.defer(() => status.close())
  const publisher = new Publisher({ settings, log: deltas, status, logger: log })
  opened.defer(() => publisher.close())
  const follower = new StoreFollower({ store, listeners: [claims, inventory, entries, publisher], log })
  opened.defer(() => follower.close())
  follower.start()
  const hosts = new Hosts({
    ...{ records: store.records, authority, certificateLifetimeMs: config.hostLifetime },
    told: (host, what) => record(what === 'joined' ? hostJoined(host) : hostRevoked(host)),
  })
  const tokens = new Tokens({ records: store.records, rootFingerprint: authority.rootFingerprint })
  const told = (event: MeshEvent): void => (replica?.leads === true ? record(event) : undefined)
  const presence = watchHosts(
    { hosts, isConnected: (host) => sessionOf(host) !== undefined, record: told, log },
    opened,
  )
  const reports = new Reports({ resources, entries, isVirtual: (address) => vips.contains(address), log })
  const issued = new IssuedCertificates({ records: store.records, log })
  opened.defer(() => issued.close())
  const encoded = encodedViews(deltas)
  const session = {
    ...{ authority, hosts, tokens, reports, deltas, encoded, publisher, log },
    feeds: () => replica?.feeds ?? [],
    acknowledged: status.acknowledged.bind(status),
    record,
    issued: issued.note.bind(issued),
  }
  const feed = await openFeed(config, session, opened)
  const token = await apiToken(secrets.token, stateDir)
  const routes = {
    ...controlRoutes({
      ...{ ...session, entries, replicas: () => replica?.all ?? [], session: sessionOf },
      issued,
      replicaOf: (host) => replica?.replicaOf(host),
      awaySince: (host) => presence.awaySince(host),
    }),
    ...explainRoutes({
      ...{ resources, deltas: new WholeModel(deltas), ask: feed.explain.bind(feed), taken: feed.status.bind(feed) },
      elsewhere: (host) => (feed.sessions.has(host) ? undefined : replica?.apiOf(host)),
    }),
  }
  const apiCertificate = await serverCertificate(authority, apiNames(config), log, opened)
  const api = await startApi({
    store,
    listen: await apiListen(config, stateDir),
    tls: apiCertificate.current,
    authenticate: bearerAuthentication(token),
    allocate,
    resources,
    extra: routes,
    storeTrouble: () => replica?.storeTrouble,
    notReady: () => (deltas.version > 0 ? undefined : 'the first state is not compiled yet'),
    version: build,
    log,
  })
  opened.defer(() => api.close())
  apiCertificate.onRenewal((pair) => api.renew(pair))
  const { server } = await publishApi(stateDir, api.address, authority.bundle)
  replica = new Replica({
    records: store.records,
    shared: config.store !== 'sqlite',
    feed: advertised(config, feed.address),
    api: server,
    build,
    sessions: () => feed.sessions,
    log,
  })
  opened.defer(() => replica?.close())
  if (config.store !== 'sqlite') followHosts(hosts, opened)
  whileLeading(replica, { collector, status, hosts, reports, publisher, resources, record, log })
  await replica.start()
  const addresses = { api: api.address, feed: feed.address }
  log.info({ ...addresses, trustDomain: authority.trustDomain }, 'control plane listens')
  return { addresses, ready: publisher.ready }
}

/** Hosts that another replica deletes, or that join anew there, lose their connections here. */
function followHosts(hosts: Hosts, opened: AsyncDisposableStack): void {
  const stop = new AbortController()
  const following = hosts.follow(stop.signal)
  opened.defer(async () => {
    stop.abort()
    await following
  })
}

/** Which hosts are away, and since when. */
function watchHosts(
  deps: {
    readonly hosts: Hosts
    readonly isConnected: (host: string) => boolean
    readonly record: (event: MeshEvent) => void
    readonly log: Logger
  },
  opened: AsyncDisposableStack,
): Presence {
  const { hosts, isConnected, record, log } = deps
  const presence = new Presence({
    hosts: async () => (await hosts.list()).map(({ host }) => host),
    isConnected,
    wentAway: (host) => record(hostAway(host)),
    cameBack: (host) => record(hostBack(host)),
    log,
  })
  hosts.onRevoked((host) => presence.forget(host))
  opened.defer(() => presence.close())
  presence.start()
  return presence
}

/** What only one replica does. */
function whileLeading(
  replica: Replica,
  deps: Pick<FeedDeps, 'hosts' | 'reports' | 'publisher' | 'log'> & {
    readonly collector: GarbageCollector
    readonly status: StatusWriter
    readonly resources: Resources
    readonly record: (event: MeshEvent) => void
  },
): void {
  const { collector, status, hosts, reports, publisher, resources, record, log } = deps
  const forgetHosts = async (): Promise<void> => {
    await publisher.ready
    const known = await hosts.list()
    await reports.removeUnknownHosts(new Set(known.map(({ host }) => host)))
  }
  replica.onSessions(() => status.acknowledged())
  replica.onLead((until) => {
    collector.start(until)
    status.resume()
    if (replica.isShared) record(leaderElected(replica.id, rootNamespace))
    if (eventKind !== undefined) void expireEvents({ resources, kind: eventKind, log }, until)
    forgetHosts().catch((error: unknown) => log.warn({ err: error }, 'workloads of deleted hosts were not removed'))
  })
}

/** Where other hosts reach the feed; nothing where only this process knows what its wildcard stands for. */
function advertised({ feedAdvertise }: ControlConfig, { address, port }: SocketAddress): readonly FeedPlace[] {
  if (feedAdvertise.length > 0) return feedAdvertise
  return address === '0.0.0.0' || address === '::' ? [] : [{ host: address, port }]
}

/** Whoever compiles the same from the same store has the same epoch: another replica, or this one after a restart. */
function epochOf({ trustDomain, rootFingerprint }: Authority, settings: CompileSettings, build: string): string {
  return digestOf({ trustDomain, rootFingerprint, settings, build, compileFormat })
}

async function openDirectory(
  config: ControlConfig,
  resources: Resources,
  log: Logger,
  opened: AsyncDisposableStack,
): Promise<void> {
  if (config.config === undefined) return
  const directory = new ConfigDirectory({ directory: config.config, resources, log })
  await directory.load()
  opened.defer(() => directory.close())
  directory.follow()
}

function settingsOf(config: ControlConfig): CompileSettings {
  const { trustDomain, clusterName, istioLabels } = config
  return {
    mesh: { trustDomain, clusterName, rootNamespace, vipRanges, serviceDomain: 'svc.cluster.local' },
    rootNamespaces: istioLabels ? [rootNamespace, istioRootNamespace] : [rootNamespace],
    istioLabels,
  }
}

type FeedDeps = Omit<Parameters<typeof FeedServer.open>[0], 'listen' | 'netns' | 'certificate'>

async function openFeed(config: ControlConfig, deps: FeedDeps, opened: AsyncDisposableStack): Promise<FeedServer> {
  const names = { uri: controlIdentity(deps.authority.trustDomain) }
  const certificate = await serverCertificate(deps.authority, names, deps.log, opened)
  const listen = listenAddress(config.feedAddress, '--feed-address')
  const feed = await FeedServer.open({ ...deps, listen, netns: config.feedNetns, certificate })
  opened.defer(() => feed.close())
  return feed
}

async function serverCertificate(
  authority: Authority,
  names: LeafNames,
  log: Logger,
  opened: AsyncDisposableStack,
): Promise<ServerCertificate> {
  const certificate = await ServerCertificate.issue({ authority, names, lifetimeMs: serverLifetimeMs, log })
  opened.defer(() => certificate.close())
  return certificate
}

/** Loopback, what the operator says, and the address that the API listens on, unless that is a wildcard. */
function apiNames(config: ControlConfig): LeafNames {
  const further = [config.apiAddress.host, ...config.apiNames]
  const ips = further.flatMap((name) => canonicalAddress(name) ?? [])
  const dns = further.filter((name) => canonicalAddress(name) === undefined)
  const addressed = ips.filter((address) => address !== '0.0.0.0' && address !== '::')
  return {
    uri: controlIdentity(config.trustDomain),
    dns: [...new Set(['localhost', ...dns])],
    ips: [...new Set(['127.0.0.1', '::1', ...addressed])],
  }
}

/** Port 0 means any free port, but the same one again after a restart, so that a kubeconfig stays right. */
async function apiListen(config: ControlConfig, stateDir: string): Promise<SocketAddress> {
  const listen = listenAddress(config.apiAddress, '--api-address')
  if (listen.port !== 0) return listen
  const last = await lastApiAddress(stateDir)
  return last !== undefined && last.address === listen.address && (await isFree(last)) ? last : listen
}

function listenAddress({ host, port }: HostPort, flag: string): SocketAddress {
  const address = canonicalAddress(host)
  if (address === undefined) throw new MeshError('CONFIG_INVALID', `${flag}: "${host}" is not an IP address`)
  return { address, port }
}

async function isFree({ address, port }: SocketAddress): Promise<boolean> {
  const probe = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject)
      probe.listen({ host: address, port }, resolve)
    })
    return true
  } catch {
    return false
  } finally {
    await new Promise<void>((resolve) => probe.close(() => resolve()))
  }
}

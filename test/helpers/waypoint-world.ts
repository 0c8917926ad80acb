// A control plane, a real waypoint, endpoints behind tunnel servers and callers with certificates, all in this process and on loopback;
// the daemons are left out. Both ends see mesh addresses.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttp2Server, type Http2ServerRequest } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Control } from '../../control/app.ts'
import { parseConfig } from '../../core/base/config.ts'
import { nullLogger } from '../../core/base/log.ts'
import { TunnelPool } from '../../core/hbone/pool.ts'
import { TunnelServer } from '../../core/hbone/server.ts'
import type { IncomingConnect, TunnelHeaders } from '../../core/hbone/types.ts'
import { checkIssued } from '../../core/identity/certificate.ts'
import { createCsr, createKeyPair } from '../../core/identity/csr.ts'
import { createCredentials, type TlsCredentials } from '../../core/identity/tls.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { build, type Waypoint } from '../../waypoint/app.ts'
import { waypointRows } from '../../waypoint/config.ts'
import type { Sockets } from '../../waypoint/sockets.ts'
import { report } from './control-reports.ts'
import { api, directory, enrol, Host, limitMs, start, type Test, token, until } from './control-world.ts'
import { LoopbackSockets } from './loopback-sockets.ts'

export const waypointAddress = '10.0.5.1'
export const wpKey = 'shop/wp.shop.svc.cluster.local'
export const clientAddress = '10.0.9.9'

/** What an endpoint saw of a request. */
export interface Seen {
  readonly endpoint: string
  readonly authority: string
  readonly headers: TunnelHeaders
  /** Identity that the tunnel's client proved. */
  readonly peer: string
  readonly method: string
  readonly path: string
  readonly host: string
  readonly version: string
}

type Answer = (request: IncomingMessage, response: ServerResponse, endpoint: string) => void

export class WaypointWorld {
  readonly control: Control
  readonly stateDir: string
  readonly host: Host
  readonly loopback = new LoopbackSockets()
  readonly seen: Seen[] = []
  /** Connections that were not HTTP, which endpoints echo. */
  readonly raw: { readonly endpoint: string; readonly first: Buffer }[] = []
  readonly waypointState: string
  answer: Answer = (_, response, endpoint) => response.end(endpoint)
  readonly #test: Test
  readonly #credentials = new Map<string, TlsCredentials>()

  private constructor(test: Test, control: Control, stateDir: string, host: Host, waypointState: string) {
    this.#test = test
    this.control = control
    this.stateDir = stateDir
    this.host = host
    this.waypointState = waypointState
    test.teardown(async () => this.loopback.stop())
  }

  /** A mesh with service `orders` behind Gateway `wp`, and endpoints orders-v1 and orders-v2; everything enrolled and captured. */
  static async create(test: Test): Promise<WaypointWorld> {
    const stateDir = await directory(test)
    const control = await start(test, stateDir)
    const credentials = await enrol(control, 'h1', await token(stateDir, 'h1', ['shop/*']))
    const host = await new Host(control, credentials).connect(test)
    const world = new WaypointWorld(test, control, stateDir, host, await directory(test))
    await world.apply(namespace, gateway, service)
    await host.report(
      report('h1', 'frontend', clientAddress, { captured: true }),
      orders('orders-v1', '10.0.0.1', 'v1'),
      orders('orders-v2', '10.0.0.2', 'v2'),
    )
    await world.serve('orders-v1', '10.0.0.1')
    await world.serve('orders-v2', '10.0.0.2')
    return world
  }

  async apply(...objects: readonly MeshObject[]): Promise<void> {
    for (const object of objects) {
      const { status, body } = await api(this.stateDir, 'POST', pathOf(object), object)
      if (status !== 201) throw new Error(`${object.kind}: ${JSON.stringify(body)}`)
    }
  }

  async patch(object: Pick<MeshObject, 'apiVersion' | 'kind' | 'metadata'>, change: object): Promise<void> {
    const { status, body } = await api(this.stateDir, 'PATCH', `${pathOf(object)}/${object.metadata.name}`, change)
    if (status !== 200) throw new Error(`${object.kind}: ${JSON.stringify(body)}`)
  }

  async token(host = 'wp.shop', identities: readonly string[] = ['shop/wp']): Promise<string> {
    return await token(this.stateDir, host, identities)
  }

  /** Starts the waypoint; `token` for the first start only. */
  async waypoint(joinToken?: string, flags: Readonly<Record<string, string>> = {}): Promise<Waypoint> {
    const { address, port } = this.control.addresses.feed
    const config = parseConfig(waypointRows, {
      flags: {
        name: 'shop/wp',
        control: `${address}:${port}`,
        address: waypointAddress,
        stateDir: this.waypointState,
        adminAddress: '127.0.0.1:0',
        metricsAddress: '127.0.0.1:0',
        healthAddress: '127.0.0.1:0',
        withdrawTime: '0',
        drainTimeout: '2s',
        ...(joinToken === undefined ? {} : { token: joinToken }),
        ...flags,
      },
    })
    const log = nullLogger()
    const waypoint = await build(config, { log, accessLog: log, sockets: this.sockets })
    this.#test.teardown(() => waypoint.close())
    return waypoint
  }

  get sockets(): Sockets {
    const { loopback } = this
    return {
      listen: async (address, onSocket) => {
        const server = await loopback.serve({ address, port: 15008 }, onSocket)
        return { address: { address, port: 15008 }, close: async () => void server.close() }
      },
      connect: async (from, to, signal) => {
        const workload = { addresses: [from ?? waypointAddress] } as never
        return await loopback.connectTcp({ workload, to, transparent: false, signal })
      },
    }
  }

  /** An endpoint as its daemon shows it: a tunnel server that carries each stream to HTTP/1.1 or HTTP/2, as the first bytes say. */
  async serve(name: string, address: string): Promise<void> {
    const credentials = await this.credentials('orders')
    const tunnels = new TunnelServer({
      contexts: () => credentials,
      trustDomain: () => 'cluster.local',
      onConnect: (connect) => this.#connected(connect, name),
      log: nullLogger(),
    })
    await this.loopback.serve({ address, port: 15008 }, (socket) => tunnels.accept(socket))
    this.#test.teardown(async () => tunnels.close())
  }

  #connected(connect: IncomingConnect, endpoint: string): void {
    const { authority, headers, peer } = connect
    const { trustDomain, namespace, serviceAccount } = peer.identity
    const facts = { endpoint, authority, headers, peer: `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}` }
    const answer = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse): void => {
      const { method = '', url = '', httpVersion } = request
      const host = request.headers.host ?? String(request.headers[':authority'])
      this.seen.push({ ...facts, method, path: url, host, version: httpVersion })
      this.answer(request as IncomingMessage, response, endpoint)
    }
    const stream = connect.accept()
    stream.once('readable', () => {
      const first = stream.read() as Buffer | null
      if (first === null) return
      if (!/^[A-Z]{3}/.test(first.toString('latin1'))) {
        this.raw.push({ endpoint, first })
        stream.write(first)
        stream.pipe(stream)
        return
      }
      stream.unshift(first)
      const isHttp2 = first.toString('latin1').startsWith('PRI')
      const server = isHttp2 ? createHttp2Server(answer as never) : createServer(answer)
      server.emit('connection', stream)
    })
  }

  async credentials(account: string): Promise<TlsCredentials> {
    const held = this.#credentials.get(account)
    if (held !== undefined) return held
    const identity = `spiffe://cluster.local/ns/shop/sa/${account}`
    const { privateKey, pem } = createKeyPair()
    const signal = AbortSignal.timeout(limitMs)
    const { chain, bundle } = await this.host.client.requestCertificate(
      identity,
      createCsr(privateKey, identity),
      signal,
    )
    const parts = { identity, keyPem: pem, chainPem: chain, bundlePem: bundle }
    const made = createCredentials(checkIssued(parts, Date.now()))
    this.#credentials.set(account, made)
    return made
  }

  /** The tunnels of a caller, as its daemon opens them to the waypoint. */
  async caller(account = 'frontend', address = clientAddress): Promise<Caller> {
    const credentials = await this.credentials(account)
    const identity = `spiffe://cluster.local/ns/shop/sa/${account}`
    const pool = new TunnelPool({
      dial: async (key, signal) => {
        const workload = { addresses: [address] } as never
        return await this.loopback.connectTcp({ workload, to: key.destination, transparent: false, signal })
      },
      context: () => credentials,
      log: nullLogger(),
    })
    this.#test.teardown(() => pool.close(0))
    return new Caller(pool, identity, address)
  }

  /** The virtual IPv4 address of `orders`. */
  async vip(): Promise<string> {
    const found = () => this.host.snapshot.serviceByHostname('orders.shop.svc.cluster.local')?.vips[0]
    return await until('the virtual IP', found)
  }
}

export class Caller {
  readonly #pool: TunnelPool
  readonly #identity: string
  readonly #address: string

  constructor(pool: TunnelPool, identity: string, address: string) {
    this.#pool = pool
    this.#identity = identity
    this.#address = address
  }

  /** A stream to the waypoint. Rejects as TunnelPool.connect. */
  async connect(authority: string, headers: TunnelHeaders = {}, waypoint = waypointAddress): Promise<Duplex> {
    const key = {
      sourceUid: 'h1/shop/frontend/1',
      sourceAddress: this.#address,
      sourceIdentity: this.#identity,
      expectedIdentities: ['spiffe://cluster.local/ns/shop/sa/wp'],
      destination: { address: waypoint, port: 15008 },
      destinationUid: 'wp',
    }
    const opened = await this.#pool.connect(key, { authority, headers }, AbortSignal.timeout(limitMs))
    return opened.stream
  }

  /** One request on a connection of its own; the whole answer as text. */
  async get(authority: string, path = '/', waypoint = waypointAddress): Promise<string> {
    const stream = await this.connect(authority, {}, waypoint)
    stream.write(`GET ${path} HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n`)
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    stream.destroy()
    return Buffer.concat(chunks).toString()
  }
}

const namespace: MeshObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', labels: { 'culvert.dev/dataplane-mode': 'ambient' } },
}

const gateway: MeshObject = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'wp', namespace: 'shop' },
  spec: { gatewayClassName: 'culvert-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
}

const service: MeshObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'orders', namespace: 'shop', labels: { 'culvert.dev/use-waypoint': 'wp' } },
  spec: { selector: { app: 'orders' }, ports: [{ port: 80, targetPort: 8080 }] },
}

function orders(name: string, address: string, version: string) {
  return report('h1', name, address, {
    serviceAccount: 'orders',
    captured: true,
    labels: { app: 'orders', version },
  })
}

function pathOf({
  apiVersion,
  kind,
  metadata: { namespace },
}: Pick<MeshObject, 'apiVersion' | 'kind' | 'metadata'>): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  if (namespace === undefined) return `${root}/namespaces`
  const lower = kind.toLowerCase()
  return `${root}/namespaces/${namespace}/${/[^aeiou]y$/.test(lower) ? `${lower.slice(0, -1)}ies` : `${lower}s`}`
}

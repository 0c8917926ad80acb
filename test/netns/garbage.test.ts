// Strangers at every listener: garbage, TLS without or with a wrong certificate, tunnels to where none may lead. Every process
// stays alive and serves on; who was refused, and why, is in the log.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Authority } from '../../control/ca/authority.ts'
import { fileVault } from '../../control/ca/vault.ts'
import { nullLogger } from '../../core/base/log.ts'
import type { IssuedCertificate } from '../../core/identity/certificate.ts'
import { createCsr, createKeyPair } from '../../core/identity/csr.ts'
import type { SocketAddress } from '../../core/net/address.ts'
import { execInWorkload } from '../../lab/exec.ts'
import { waitUntil } from '../../lab/lab.ts'
import { getInside } from '../../lab/probe.ts'
import { hostFolders } from '../../lab/units.ts'
import { FakeCa } from '../helpers/fake-ca.ts'
import {
  type Dial,
  dialAsProxy,
  dialHere,
  dialInside,
  HandTunnel,
  httpsAnswer,
  knockWithoutCertificate,
  throwDatagrams,
  throwGarbage,
} from '../helpers/garbage.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'
import { ask, service } from '../helpers/scenario-world.ts'

const port = 8080
const identity = 'spiffe://cluster.local/ns/shop/sa/client'

const topology = `
hosts: [h1, h2]
workloads:
- {name: client, namespace: shop, serviceAccount: client, host: h1, labels: {app: client}}
- {name: server, namespace: shop, serviceAccount: server, host: h2, labels: {app: server}, echo: {}}
- {name: outsider, namespace: open, serviceAccount: outsider, host: h1}
`
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {culvert.dev/dataplane-mode: ambient}}
---
${service('shop', 'server', 'app: server', 'port: 8080')}
`

t.setTimeout(120_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

function listeners(mesh: MeshLab): Readonly<Record<string, Dial>> {
  const server = mesh.workload('shop/server').netns
  const outsider = mesh.workload('open/outsider').netns
  const host = mesh.hostOf('shop/server').netns
  const api = new URL(mesh.client.server)
  const [wire] = mesh.lab.plan.wire.addresses
  const dials: Record<string, Dial> = {}
  for (const address of mesh.workload('shop/server').addresses) {
    for (const number of [15001, 15006, 15008]) {
      dials[`${address} ${number} from inside`] = () => dialAsProxy(server, { address, port: number })
      dials[`${address} ${number} from outside`] = () => dialInside(outsider, { address, port: number })
    }
  }
  dials['DNS over TCP'] = () => dialInside(server, { address: '127.0.0.1', port: 15053 })
  for (const number of [15000, 15020, 15021]) {
    dials[`host ${number}`] = () => dialInside(host, { address: '127.0.0.1', port: number })
  }
  dials['feed'] = () => dialInside(host, { address: wire, port: 15012 })
  dials['API'] = () => dialHere({ address: api.hostname, port: Number(api.port) })
  return dials
}

/** Everything that the mesh promises still works, in the same processes. */
async function serving(t: Test, mesh: MeshLab, pids: ReturnType<MeshLab['pids']>): Promise<void> {
  t.same(mesh.pids(), pids, 'every process is still the same')
  const before = await mesh.tunnelledInto('shop/server')
  const vip = { address: mesh.vip('shop/server'), port }
  t.match(await ask(mesh, 'shop/client', vip), { kind: 'answered' })
  t.equal(await mesh.tunnelledInto('shop/server'), before + 1, 'the tunnel serves')
  const plain = { address: mesh.address('shop/server'), port }
  t.match(await ask(mesh, 'open/outsider', plain), { kind: 'answered' }, 'plaintext is served')
  t.match(await mesh.lookup('shop/client', 'server.shop', 'A'), { rcode: 'NOERROR' }, 'DNS is served')
  t.match(await mesh.lookup('shop/server', 'server.shop', 'A'), { rcode: 'NOERROR' }, 'DNS is served')
  for (const { name, netns } of mesh.lab.plan.hosts) {
    const health = await getInside(netns, { address: '127.0.0.1', port: 15021, path: '/healthz/ready' })
    t.equal(health.status, 200, `${name} is ready`)
    t.notMatch(mesh.logSince(`daemon@${name}`, 0), 'crashed', 'no worker crashed')
  }
  await mesh.converge()
}

function certificateOnDisk(mesh: MeshLab): IssuedCertificate {
  const folder = hostFolders(mesh.lab.paths, 'h1').daemon
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.certificate.json'),
  )
  const found = files
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as IssuedCertificate)
    .find((certificate) => certificate.identity === identity)
  if (found === undefined) throw new Error(`no certificate of ${identity} in ${folder}`)
  return { ...found, notBefore: 0, notAfter: Date.now() + 60_000 }
}

/** Signed by the mesh's own authority, as if its key had been used for another trust domain. */
async function ofOtherTrustDomain(mesh: MeshLab): Promise<IssuedCertificate> {
  const trustDomain = 'other.example'
  const authority = await Authority.open({
    vault: await fileVault(mesh.lab.paths.controlState, 'ca'),
    trustDomain,
    leafLifetimeMs: 600_000,
    log: nullLogger(),
  })
  const uri = `spiffe://${trustDomain}/ns/shop/sa/client`
  const { privateKey, pem } = createKeyPair()
  const { chain, notBefore, notAfter } = await authority.sign(createCsr(privateKey, uri), uri)
  return { identity: uri, keyPem: pem, chainPem: chain, bundlePem: authority.bundle, notBefore, notAfter }
}

t.test('strangers', async (t) => {
  const mesh = await meshLab({ name: 'garbage', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  const pids = mesh.pids()
  const client = mesh.workload('shop/client')
  const server = mesh.workload('shop/server')
  const tunnelPort: SocketAddress = { address: server.addresses[0], port: 15008 }
  const dial: Dial = () => dialAsProxy(client.netns, tunnelPort)

  await t.test('garbage on every listener leaves every process alive and serving', async (t) => {
    for (const [name, dialListener] of Object.entries(listeners(mesh))) {
      const reached = dialListener()
      const listens = new Promise<boolean>((resolve) => {
        // Whoever resets a connection has accepted it.
        reached.once('error', (error) => resolve((error as NodeJS.ErrnoException).code === 'ECONNRESET'))
        reached.once('connect', () => resolve(true))
      })
      t.ok(await listens, `${name} listens`)
      reached.destroy()
      await throwGarbage(dialListener)
      await knockWithoutCertificate(dialListener)
    }
    await throwDatagrams(server.netns, { address: '127.0.0.1', port: 15053 })
    await serving(t, mesh, pids)
  })

  await t.test('certificates of others are refused, and the log names peer and reason', async (t) => {
    const foreign = await (await FakeCa.create()).leaf(identity)
    for (const [what, certificate, reason] of [
      ['another trust domain', await ofOtherTrustDomain(mesh), 'other.example'],
      ['a foreign authority', foreign, 'not trusted'],
    ] as const) {
      const from = mesh.logSize('daemon@h2')
      await t.rejects(HandTunnel.open(dial(), certificate), what)
      const lines = (): readonly string[] =>
        mesh
          .logSince('daemon@h2', from)
          .split('\n')
          .filter((line) => line.includes(`${client.addresses[0]}:`))
      await waitUntil(`${what} is logged`, () => lines().some((line) => line.includes(reason)), 5_000)
    }
    await serving(t, mesh, pids)
  })

  await t.test('a genuine certificate leads only to the workload itself', async (t) => {
    const from = mesh.logSize('daemon@h2')
    const tunnel = await HandTunnel.open(dial(), certificateOnDisk(mesh))
    const [own, ownSix] = server.addresses
    const expected: readonly (readonly [string, number])[] = [
      [`${own}:${port}`, 200],
      [`${client.addresses[0]}:${port}`, 400],
      [`127.0.0.1:${port}`, 400],
      [`[${ownSix}]:${port}`, 400],
      [`${own}:0`, 400],
      [`${own}:99999`, 400],
      [`server.shop:${port}`, 400],
      [`${own}:15008`, 503],
      [`${own}:15006`, 503],
      [`${own}:15001`, 503],
      [`${own}:9`, 503],
    ]
    for (const [authority, status] of expected) t.equal(await tunnel.connect(authority), status, authority)
    tunnel.close()
    const logged = (what: string): boolean =>
      mesh
        .logSince('daemon@h2', from)
        .split('\n')
        .some((line) => line.includes(what) && line.includes(`${client.addresses[0]}:`) && line.includes(identity))
    for (const what of [`${client.addresses[0]}:${port}`, `${own}:0`, `${own}:15008`]) {
      await waitUntil(`the CONNECT to ${what} is logged with its peer`, () => logged(what), 5_000)
    }
    await serving(t, mesh, pids)
  })

  await t.test('the control plane serves nobody without a right to it', async (t) => {
    const [wire] = mesh.lab.plan.wire.addresses
    const feed: Dial = () => dialInside(mesh.hostOf('shop/client').netns, { address: wire, port: 15012 })
    const upgrade =
      'GET /v1/feed HTTP/1.1\r\nhost: control\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
    t.match(await httpsAnswer(feed(), undefined, upgrade), /^HTTP\/1\.1 40[13]/, 'the feed without a certificate')
    const workload = certificateOnDisk(mesh)
    t.match(await httpsAnswer(feed(), workload, upgrade), /^HTTP\/1\.1 40[13]/, 'the feed with that of a workload')
    const api = new URL(mesh.client.server)
    const get = 'GET /api/v1/namespaces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n'
    const dialApi: Dial = () => dialHere({ address: api.hostname, port: Number(api.port) })
    t.match(await httpsAnswer(dialApi(), undefined, `${get}\r\n`), /^HTTP\/1\.1 401/, 'the API without a token')
    const wrong = `${get}authorization: Bearer nothing\r\n\r\n`
    t.match(await httpsAnswer(dialApi(), undefined, wrong), /^HTTP\/1\.1 401/, 'the API with a wrong token')
    await serving(t, mesh, pids)
  })

  await t.test("a workload reaches neither the admin port nor the agent's socket of its host", async (t) => {
    for (const workload of ['shop/client', 'open/outsider']) {
      const { netns } = mesh.workload(workload)
      for (const address of mesh.hostOf(workload).addresses) {
        const target = { address, port: 15000, path: '/config_dump' }
        await t.rejects(getInside(netns, target), { code: /ECONNREFUSED|ECONNRESET/ }, `${workload} at ${address}`)
      }
      const local = { address: '127.0.0.1', port: 15000, path: '/config_dump' }
      await t.rejects(getInside(netns, local), { code: 'ECONNREFUSED' }, `${workload} at its own loopback`)
    }
    const socket = join(hostFolders(mesh.lab.paths, 'h1').run, 'agent.sock')
    t.equal(statSync(socket).mode & 0o007, 0, 'the socket is not for everybody')
    const knock =
      'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0])) ? print "in" : print "$!"'
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    const { stdout } = await execInWorkload(mesh.lab.selector, 'client.shop', [...nobody, 'perl', '-e', knock, socket])
    t.equal(stdout, 'Permission denied')
  })
})

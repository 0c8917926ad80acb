// Two captured namespaces, a client's and a server's, and what a daemon between them is told; for the netns tests of the daemon.
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Redirector } from '../../agent/redirect/apply.ts'
import { namespaceCommands } from '../../agent/redirect/command.ts'
import { parseConfig } from '../../core/base/config.ts'
import { nullLogger } from '../../core/base/log.ts'
import type { LocalWorkload } from '../../core/feed/handoff.ts'
import { workloadIdentity } from '../../core/model/canonical.ts'
import type { CompiledDelta, Workload } from '../../core/model/types.ts'
import { familyOf, type SocketAddress } from '../../core/net/address.ts'
import { boundSocket, NetworkNamespace, tcpListener, tcpSocket } from '../../core/net/sys.ts'
import { daemonRows } from '../../daemon/config.ts'
import { addresses, type TestNamespaces } from './agent-namespace.ts'
import { memberOf, resourceOf, service, workload } from './plane-world.ts'

export const port = 8080
export const vips = { ipv4: '240.240.0.7', ipv6: '2001:2::7' } as const
export const mesh = {
  kind: 'Mesh',
  key: 'mesh',
  value: {
    trustDomain: 'cluster.local',
    clusterName: 'test',
    rootNamespace: 'culvert-system',
    vipRanges: ['240.240.0.0/16', '2001:2::/48'],
    serviceDomain: 'svc.cluster.local',
  },
} as const

export const client = workload('client', addresses.peer.ipv4, { addresses: Object.values(addresses.peer) })
export const server = workload('server', addresses.workload.ipv4, {
  addresses: Object.values(addresses.workload),
  services: [memberOf('server', 80, port)],
})
const named = { ...service('server', vips.ipv4, 80), vips: Object.values(vips) }

export function delta(
  version: number,
  extra: readonly ReturnType<typeof resourceOf>[] = [],
  full = true,
): CompiledDelta {
  const base = full ? [mesh, ...[client, server, named].map(resourceOf)] : []
  return { epoch: 'e', version, full, upserts: [...base, ...extra], removes: [] }
}

export function localOf(model: Workload, path: string): LocalWorkload {
  const namespace = NetworkNamespace.open(path)
  const { inode } = namespace
  namespace.close()
  const { uid, namespace: ns, name, addresses: own } = model
  return {
    uid,
    namespace: ns,
    name,
    identity: workloadIdentity(model),
    addresses: own,
    netns: { path, inode },
    nameservers: [],
  }
}

export function openIn(path: string, to: SocketAddress): net.Socket {
  const namespace = NetworkNamespace.open(path)
  const socket = boundSocket(namespace.run(() => tcpSocket({ family: familyOf(to.address) })))
  namespace.close()
  socket.on('error', () => {})
  return socket.connect({ host: to.address, port: to.port })
}

export async function applicationIn(test: Test, path: string, onSocket: (socket: net.Socket) => void): Promise<void> {
  const namespace = NetworkNamespace.open(path)
  for (const address of ['0.0.0.0', '::']) {
    const fd = namespace.run(() => tcpListener({ address, port, v6Only: true }))
    const application = net.createServer({ allowHalfOpen: true }, onSocket)
    await new Promise<void>((resolve) => application.listen({ fd }, resolve))
    test.teardown(() => application.close())
  }
  namespace.close()
}

export async function directories(test: Test): Promise<{ stateDir: string; runDir: string }> {
  const root = await mkdtemp(join(tmpdir(), 'culvert-daemon-'))
  test.teardown(() => rm(root, { recursive: true, force: true }))
  return { stateDir: join(root, 'state'), runDir: root }
}

export function configOf(flags: Record<string, unknown>) {
  const any = '127.0.0.1:0'
  return parseConfig(daemonRows, {
    flags: {
      adminAddress: any,
      metricsAddress: any,
      healthAddress: any,
      drainTimeout: '1s',
      logLevel: 'silent',
      ...flags,
    },
  })
}

export async function capture(namespaces: TestNamespaces): Promise<void> {
  const redirector = new Redirector({ host: 'h', run: namespaceCommands(), log: nullLogger() })
  for (const netns of [namespaces.workload, namespaces.peer]) {
    await redirector.apply(
      { workload: netns, netns, ports: [port], vipRanges: mesh.value.vipRanges },
      undefined,
      async () => {},
    )
  }
}

// Real traffic through a mesh whose control plane is three replicas on three members of etcd, while each kind of them is killed: no
// request fails, and no agent is without a control plane for more than five seconds.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { MeshStatus } from '../../core/model/mesh-status.ts'
import { waitUntil } from '../../lab/lab.ts'
import { netnsPath } from '../../lab/network.ts'
import { feedAddress } from '../../lab/units.ts'
import { EtcdCluster, freePorts } from '../helpers/etcd.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'
import { passphrase, ReplicaProcess } from '../helpers/replica-world.ts'
import { service } from '../helpers/scenario-world.ts'

const hosts = ['h1', 'h2', 'h3', 'h4']
const topology = `
hosts: [${hosts.join(', ')}]
workloads:
- {name: client, namespace: shop, serviceAccount: client, host: h1, labels: {app: client}}
- {name: near, namespace: shop, serviceAccount: near, host: h3, labels: {app: near}}
- {name: one, namespace: shop, serviceAccount: server, host: h2, labels: {app: server}, echo: {}}
- {name: two, namespace: shop, serviceAccount: server, host: h4, labels: {app: server}, echo: {}}
`
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {culvert.dev/dataplane-mode: ambient}}
---
${service('shop', 'server', 'app: server', 'port: 8080')}
`
const mostMs = 5_000
const trafficMs = 8_000

t.setTimeout(280_000)
const stateDir = t.testdir({})

/** How long hosts were without a replica, as `alive` sees them. */
class Watch {
  longestMs = 0
  readonly #alive: ReplicaProcess
  readonly #stop = new AbortController()
  readonly #running: Promise<void>

  constructor(alive: ReplicaProcess) {
    this.#alive = alive
    this.#running = this.#run()
  }

  async end(): Promise<number> {
    this.#stop.abort()
    await this.#running
    return this.longestMs
  }

  async #run(): Promise<void> {
    const goneAt = new Map<string, number>()
    while (!this.#stop.signal.aborted) {
      const { body } = await this.#alive.call('GET', '/culvert/v1/status')
      const now = performance.now()
      for (const { host, connected } of (body as unknown as MeshStatus).hosts) {
        if (connected) goneAt.delete(host)
        else this.longestMs = Math.max(this.longestMs, now - (goneAt.get(host) ?? now))
        if (!connected && !goneAt.has(host)) goneAt.set(host, now)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

async function allConnected(replica: ReplicaProcess): Promise<boolean> {
  const { body } = await replica.call('GET', '/culvert/v1/status')
  const known = (body as unknown as MeshStatus).hosts
  return known.length === hosts.length && known.every(({ connected }) => connected)
}

t.test('traffic and agents while replicas and members of etcd are killed', async (t) => {
  const etcd = await EtcdCluster.start({ members: 3 })
  t.teardown(() => etcd.close())
  const endpoints = etcd.endpoints.map(({ origin }) => origin).join(',')
  const store = { CULVERT_STORE: 'etcd', CULVERT_ETCD_ENDPOINTS: endpoints, CULVERT_CA_PASSPHRASE: passphrase }
  const mesh = await meshLab({ name: 'repl', stateDir, topology, manifests, environment: { control: store } })
  t.teardown(() => mesh.close())
  const replicas = await moreReplicas(mesh, endpoints)
  t.teardown(() => Promise.all(replicas.map((replica) => replica.kill())))
  const [second, third] = replicas as readonly [ReplicaProcess, ReplicaProcess]
  // Agents learn of the new replicas from the one that they have.
  await mesh.kill('control')
  await waitUntil('all hosts are connected', () => allConnected(second), 30_000)

  const under = (name: string, alive: ReplicaProcess, strike: () => Promise<() => Promise<void>>): Promise<unknown> =>
    t.test(name, (t) => struck(t, mesh, alive, strike))

  await under('a replica is killed', second, async () => {
    await third.kill()
    return () => third.start()
  })
  await under('the replica that the mesh began with is killed, which all agents were told to dial', third, async () => {
    await mesh.hold('control')
    return async () => {
      mesh.release('control')
      await waitUntil('it is back', async () => mesh.pid('control') !== undefined, 30_000)
    }
  })
  await under('the leader is killed', third, async () => {
    // whoever leads now: not the third, which was started last
    await Promise.all([second.kill(), mesh.hold('control')])
    return async () => {
      mesh.release('control')
      await second.start()
    }
  })
  await under('a member of etcd is killed', third, async () => {
    const [member] = etcd.members
    await member!.kill('SIGKILL')
    return async () => {
      member!.start()
      await etcd.ready(member!)
    }
  })
})

async function moreReplicas(mesh: MeshLab, endpoints: string): Promise<readonly ReplicaProcess[]> {
  const { wire } = mesh.lab.plan
  const [address] = feedAddress(mesh.lab.plan).split(':')
  const ports = await freePorts(2)
  const replicas = ports.map((port, index) => {
    const feed = 15_013 + index
    const more = { 'feed-netns': netnsPath(wire.netns), 'feed-address': `${address}:${feed}` }
    return new ReplicaProcess(join(stateDir, `replica-${index}`), [port, feed], endpoints, more)
  })
  for (const replica of replicas) await replica.start()
  return replicas
}

/** Load on new and on kept connections from two hosts, while the blow falls and for some seconds after it. */
async function struck(t: Test, mesh: MeshLab, alive: ReplicaProcess, strike: () => Promise<() => Promise<void>>) {
  const plan = { url: 'http://server.shop:8080/', durationMs: trafficMs, concurrency: 2, pauseMs: 5 }
  const loads = ['client.shop', 'near.shop'].flatMap((workload) => [
    mesh.load(workload, plan),
    mesh.load(workload, { ...plan, fresh: true }),
  ])
  const watch = new Watch(alive)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const mend = await strike()
  const reports = await Promise.all(loads)
  await waitUntil('all hosts are connected', () => allConnected(alive), 30_000)
  const longestMs = await watch.end()
  for (const { failed, failures, requests } of reports) {
    t.same({ failed, failures }, { failed: 0, failures: {} }, `${requests} requests`)
    t.ok(requests > 100, `${requests} requests`)
  }
  t.ok(longestMs < mostMs, `an agent was without a control plane for ${Math.round(longestMs)} ms`)
  const total = reports.reduce((sum, { requests }) => sum + requests, 0)
  t.comment(
    `${total} requests, none failed; longest time of an agent without a control plane ${Math.round(longestMs)} ms`,
  )
  await mend()
}

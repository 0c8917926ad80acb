// Workloads that enter and leave the mesh while they run: by the label of their namespace and by their own, through the real
// CLI, under load. Applications are not restarted, nothing fails, and what was changed in a namespace is put back.
import t, { type Test } from 'tap'
import { waitUntil } from '../../lab/lab.ts'
import type { LoadPlan } from '../../lab/load/load.ts'
import { isCaptured, meshView } from '../../lab/mesh.ts'
import { netnsPath } from '../../lab/network.ts'
import { run, trace } from '../helpers/agent-namespace.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'
import { ask, Held } from '../helpers/scenario-world.ts'

const port = 8080
const mode = 'culvert.dev/dataplane-mode'

const topology = `
hosts: [h1, h2]
workloads:
- {name: client, namespace: shop, serviceAccount: client, host: h1, labels: {app: client}, echo: {}}
- {name: server, namespace: shop, serviceAccount: server, host: h2, labels: {app: server}, echo: {}}
- {name: near, namespace: shop, serviceAccount: near, host: h2, labels: {app: near}, echo: {}}
`
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`
const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
`

t.setTimeout(120_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})
const workloads = ['client', 'server', 'near'] as const

/** Settings of the whole network stack but for what counts or measures by itself. */
function settings(netns: string): string {
  return run('nsenter', `--net=${netnsPath(netns)}`, '--', 'sysctl', '-a', '--pattern', '^net\\.')
    .split('\n')
    .filter((line) => !/conntrack_count|stable_secret|ip_local_unbindable|random|flush/.test(line))
    .join('\n')
}

/** Rules, routes and settings of every workload's namespace. */
function traces(mesh: MeshLab): Readonly<Record<string, string>> {
  const of = (name: string): string => {
    const { netns } = mesh.workload(`shop/${name}`)
    return `${trace(netnsPath(netns))}\n${settings(netns)}`
  }
  return Object.fromEntries(workloads.map((name) => [name, of(name)]))
}

async function capturedNow(mesh: MeshLab): Promise<readonly string[]> {
  const view = await meshView(mesh.client)
  return workloads.filter((name) => isCaptured(mesh.workload(`shop/${name}`), view))
}

async function label(mesh: MeshLab, ...words: readonly string[]): Promise<void> {
  await mesh.culvert('label', ...words)
  await mesh.converge()
}

const enrol = (mesh: MeshLab) => label(mesh, 'namespace', 'shop', `${mode}=ambient`)
const leave = (mesh: MeshLab) => label(mesh, 'namespace', 'shop', `${mode}-`)

function tunnelled(mesh: MeshLab, work: () => Promise<unknown>): Promise<number> {
  return countTunnelled(mesh, 'shop/server', work)
}

async function countTunnelled(mesh: MeshLab, workload: string, work: () => Promise<unknown>): Promise<number> {
  const before = await mesh.tunnelledInto(workload)
  await work()
  return (await mesh.tunnelledInto(workload)) - before
}

/** Steady new connections and one that stays, by address, in both directions and inside a host. */
async function underLoad(t: Test, mesh: MeshLab, work: () => Promise<void>): Promise<void> {
  const url = (name: string): string => `http://${mesh.address(`shop/${name}`)}:${port}/`
  const plan: Omit<LoadPlan, 'url'> = { durationMs: 120_000, fresh: true, pauseMs: 10, concurrency: 2 }
  const loads = [
    ['client', 'server'],
    ['server', 'client'],
    ['near', 'server'],
  ].map(([from, to]) => ({ name: `${from} → ${to}`, load: mesh.startLoad(`${from}.shop`, { ...plan, url: url(to!) }) }))
  try {
    await work()
  } finally {
    for (const { name, load } of loads) {
      const { requests, failed, failures } = await load.stop()
      t.same({ failed, failures }, { failed: 0, failures: {} }, `${name}: ${requests} requests, none failed`)
      t.ok(requests > 100, `${name} made ${requests} requests`)
    }
  }
}

t.test('enrolment of running workloads', async (t) => {
  const mesh = await meshLab({ name: 'enrol', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  const server = { address: mesh.address('shop/server'), port }
  const request = (): Promise<unknown> => ask(mesh, 'shop/client', server)
  const untouched = traces(mesh)
  const applications = mesh.pids()
  /** Live connections are let to their ends before the last rules go. */
  const asBefore = (): Promise<void> =>
    waitUntil('nothing remains', () => JSON.stringify(traces(mesh)) === JSON.stringify(untouched), 20_000)

  await t.test(
    'the namespace label captures and releases them under load; nothing fails, nothing remains',
    async (t) => {
      await underLoad(t, mesh, async () => {
        for (let round = 1; round <= 3; round++) {
          await enrol(mesh)
          t.same(await capturedNow(mesh), workloads, `round ${round}: captured`)
          t.ok((await tunnelled(mesh, request)) >= 1, 'through the tunnel')
          await leave(mesh)
          t.same(await capturedNow(mesh), [], 'released')
          // The second time the label comes back while they are still leaving.
          if (round !== 2) await asBefore()
        }
      })
      t.match(await ask(mesh, 'shop/client', server), { kind: 'answered', caller: mesh.address('shop/client') })
      t.equal(await tunnelled(mesh, request), 0, 'plain TCP again')
      t.same(traces(mesh), untouched, 'rules, routes and settings are what they were')
    },
  )

  await t.test("a workload's own label takes it out and back under load, the others stay", async (t) => {
    await enrol(mesh)
    await underLoad(t, mesh, async () => {
      await label(mesh, 'workloadentry', 'server', '-n', 'shop', `${mode}=none`)
      t.same(await capturedNow(mesh), ['client', 'near'])
      await waitUntil('its rules are gone', () => traces(mesh)['server'] === untouched['server'], 20_000)
      await label(mesh, 'workloadentry', 'server', '-n', 'shop', `${mode}-`)
      t.same(await capturedNow(mesh), workloads)
    })
    t.equal(await tunnelled(mesh, request), 1)
    await leave(mesh)
    await asBefore()
  })

  await t.test('connections from before are counted, live on, and are reset once the workload is STRICT', async (t) => {
    const early = new Held(await mesh.open('shop/client', server))
    t.ok(await early.works())
    await enrol(mesh)
    const counted = async (name: string): Promise<number | undefined> => {
      const { hosts } = await mesh.status()
      return hosts.flatMap((host) => host.workloads).find((workload) => workload.name === name)?.uncapturedConnections
    }
    for (const end of ['server', 'client']) {
      await waitUntil(`it is counted at the ${end}`, async () => (await counted(end)) === 1, 10_000)
    }
    t.match(await mesh.culvert('workloads', '-n', 'shop'), /server.*1 connection.* from before/)
    t.ok(await early.works(), 'it lives on')
    const late = new Held(await mesh.open('shop/client', server))
    t.ok(await late.works())
    await mesh.apply(strict)
    await early.closesWithin(5_000)
    t.ok(await late.works(), 'a connection through the tunnel is left alone')
    await waitUntil('the count is 0 again', async () => (await counted('server')) === 0, 10_000)
    late.socket.destroy()
    await mesh.remove(strict)
    await leave(mesh)
  })

  t.same(mesh.pids(), applications, 'no application and no process of the mesh was restarted')
  await asBefore()
  t.same(traces(mesh), untouched, 'nothing remains at the end')
})

// Processes that die: control plane, agents and daemons killed with -9, held down, and started again by the lab's supervisor.
// Traffic goes on without control and agent, is refused without a daemon, and is never seen in plaintext on the wire.
import t, { type Test } from 'tap'
import { captureWire } from '../../lab/capture/capture.ts'
import { waitUntil } from '../../lab/lab.ts'
import type { LoadPlan } from '../../lab/load/load.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'
import { ask, Held, service } from '../helpers/scenario-world.ts'

const marker = 'culvert-failures-secret'
const port = 8080

const topology = `
hosts: [h1, h2]
workloads:
- {name: client, namespace: shop, serviceAccount: client, host: h1, labels: {app: client}, echo: {}}
- {name: server, namespace: shop, serviceAccount: server, host: h2, labels: {app: server}, echo: {}}
- {name: near, namespace: shop, serviceAccount: near, host: h2, labels: {app: near}}
- {name: outsider, namespace: open, serviceAccount: outsider, host: h1}
`
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {culvert.dev/dataplane-mode: ambient}}
---
${service('shop', 'server', 'app: server', 'port: 8080')}
---
${service('shop', 'client', 'app: client', 'port: 8080')}
`

t.setTimeout(240_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

async function allAnswered(t: Test, mesh: MeshLab, workload: string, plan: LoadPlan): Promise<void> {
  const { requests, failed, failures } = await mesh.load(workload, plan)
  t.same({ requests, failed, failures }, { requests: plan.count, failed: 0, failures: {} }, `${plan.count} requests`)
}

/** 1,000 requests: half on connections that stay open, half on new ones, by name and by address. */
async function thousand(t: Test, mesh: MeshLab): Promise<void> {
  const url = `http://server.shop:${port}/`
  await Promise.all([
    allAnswered(t, mesh, 'client.shop', { url, count: 500, concurrency: 4 }),
    allAnswered(t, mesh, 'client.shop', { url, count: 500, concurrency: 4, fresh: true }),
  ])
}

async function answers(mesh: MeshLab, from: string, address: string): Promise<boolean> {
  return (await ask(mesh, from, { address, port })).kind === 'answered'
}

/** Both directions through the tunnel, without a word to the control plane. */
async function comesBack(mesh: MeshLab): Promise<void> {
  const both = async (): Promise<boolean> =>
    (await answers(mesh, 'shop/client', mesh.vip('shop/server'))) &&
    (await answers(mesh, 'shop/server', mesh.vip('shop/client')))
  await waitUntil('traffic flows again', both, 30_000)
}

async function tunnelsBothWays(t: Test, mesh: MeshLab): Promise<void> {
  for (const [from, to] of [
    ['client', 'server'],
    ['server', 'client'],
  ]) {
    const before = await mesh.tunnelledInto(`shop/${to}`)
    t.ok(await answers(mesh, `shop/${from}`, mesh.vip(`shop/${to}`)), `${from} reaches ${to}`)
    t.equal(await mesh.tunnelledInto(`shop/${to}`), before + 1, 'through the tunnel')
  }
}

t.test('processes that die', async (t) => {
  const mesh = await meshLab({ name: 'fail', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  const server = { address: mesh.vip('shop/server'), port }
  const hold = async (): Promise<Held> => new Held(await mesh.open('shop/client', server))

  await t.test('without control plane and agents 1,000 requests succeed and open connections live on', async (t) => {
    const held = await hold()
    t.ok(await held.works())
    await mesh.hold('control')
    await thousand(t, mesh)
    t.equal(mesh.pid('control'), undefined, 'the control plane was away')
    await mesh.hold('agent@h1', 'agent@h2')
    await thousand(t, mesh)
    t.equal(mesh.pid('agent@h1') ?? mesh.pid('agent@h2'), undefined, 'the agents were away')
    t.ok(await held.works(), 'the long-lived connection is still there')
    mesh.release('control', 'agent@h1', 'agent@h2')
    await mesh.converge()
    t.ok(await held.works(), 'and after their return')
    t.match((await mesh.status()).hosts, [{ connected: true }, { connected: true }])
    await tunnelsBothWays(t, mesh)
    held.socket.destroy()
  })

  for (const dead of ['h1', 'h2'] as const) {
    const whose = dead === 'h1' ? "the client's" : "the destination's"
    await t.test(
      `with ${whose} daemon dead connections are refused, and nothing is on the wire in plaintext`,
      async (t) => {
        const capture = await captureWire(mesh.lab.selector)
        t.teardown(() => capture.cancel())
        const url = `http://${server.address}:${port}/?token=${marker}`
        const direct = `http://${mesh.address('shop/server')}:${port}/?token=${marker}`
        // Goes on through death and return: what it sends in between must not leave.
        const background = mesh.startLoad('client.shop', {
          url: direct,
          durationMs: 120_000,
          fresh: true,
          pauseMs: 10,
          timeoutMs: 2_000,
        })
        await waitUntil('the load runs', () => answers(mesh, 'shop/client', server.address), 10_000)
        const held = await hold()
        t.ok(await held.works())
        await mesh.hold(`daemon@${dead}`)
        await held.closesWithin(5_000)
        for (const plan of [{ url }, { url: direct }]) {
          const report = await mesh.load('client.shop', { ...plan, count: 50, fresh: true, timeoutMs: 2_000 })
          t.match(report, { requests: 50, succeeded: 0 }, `${plan.url} is refused`)
          t.same(
            Object.keys(report.failures).filter((failure) => !refusals.has(failure)),
            [],
            'at once, not by silence',
          )
        }
        if (dead === 'h2') {
          t.notOk(await answers(mesh, 'open/outsider', mesh.address('shop/server')), 'nor does plaintext get in')
          t.notOk(await answers(mesh, 'shop/near', mesh.address('shop/server')), 'nor a neighbour on the same host')
        }
        mesh.release(`daemon@${dead}`)
        await comesBack(mesh)
        const report = await background.stop()
        t.ok(report.succeeded > 0 && report.failed > 0, `${report.succeeded} succeeded, ${report.failed} were refused`)
        await mesh.converge()
        await tunnelsBothWays(t, mesh)
        const summary = await capture.stop([marker])
        t.match(summary, { dropped: 0, markers: { [marker]: 0 } })
        const [client] = mesh.workload('shop/client').addresses
        const ports = summary.conversations.filter((talk) => talk.client === client).map((talk) => talk.port)
        t.same([...new Set(ports)], [15008], 'only tunnels left the client')
      },
    )
  }

  await t.test('each comes back from kill -9 into a working mesh, one after the other', async (t) => {
    for (const unit of ['control', 'agent@h1', 'agent@h2', 'daemon@h1', 'daemon@h2']) {
      await mesh.kill(unit)
      await comesBack(mesh)
      await mesh.converge()
      t.pass(unit)
    }
    await tunnelsBothWays(t, mesh)
  })

  await t.test(
    'with the control plane away, agents and daemons of all hosts come back from disk, keys too',
    async (t) => {
      const serials = await Promise.all(['h1', 'h2'].map(async (host) => [...(await mesh.serials(host))]))
      await mesh.hold('control')
      await mesh.kill('agent@h1', 'daemon@h1', 'agent@h2', 'daemon@h2')
      await comesBack(mesh)
      await tunnelsBothWays(t, mesh)
      t.same(await Promise.all(['h1', 'h2'].map(async (host) => [...(await mesh.serials(host))])), serials, 'same keys')
      t.equal(mesh.pid('control'), undefined, 'the control plane was away')
      await mesh.hold('agent@h1')
      await mesh.kill('daemon@h1')
      await comesBack(mesh)
      await tunnelsBothWays(t, mesh)
      t.equal(mesh.pid('agent@h1'), undefined, 'the daemon came back without its agent')
      mesh.release('agent@h1', 'control')
      await mesh.converge()
      await tunnelsBothWays(t, mesh)
    },
  )
})

const refusals = new Set(['ECONNREFUSED', 'ECONNRESET', 'socket hang up'])

// The lab itself: namespaces, supervision, execution, capture and the removal of every trace, first without a mesh, then with one.
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { MeshError } from '../../core/base/errors.ts'
import { captureWire } from '../../lab/capture/capture.ts'
import { runCommand, tryCommand } from '../../lab/command.ts'
import { downLab } from '../../lab/down.ts'
import { execInWorkload, execOnHost } from '../../lab/exec.ts'
import { killUnit, releaseUnit, stopUnit, unitProcess, waitRestarted } from '../../lab/faults.ts'
import { labClient, upLab, waitUntil } from '../../lab/lab.ts'
import { loadFrom } from '../../lab/load/in-workload.ts'
import { isCaptured, meshView } from '../../lab/mesh.ts'
import { listNamespaces } from '../../lab/network.ts'
import { getInside } from '../../lab/probe.ts'
import { findMarked } from '../../lab/processes.ts'
import { labPaths, readSupervisor } from '../../lab/state.ts'
import { labStatus } from '../../lab/status.ts'
import { parseTopology } from '../../lab/topology.ts'

const stateDir = t.testdir({})
const topology = parseTopology(
  `
hosts: [h1, h2]
workloads:
- {name: echo, namespace: shop, serviceAccount: echo, host: h2, labels: {app: echo}, echo: {}}
- {name: client, namespace: shop, serviceAccount: client, host: h1, run: sleep infinity}
- {name: idle, namespace: shop, host: h1}
`,
  'topology.yaml',
)

async function traces(name: string): Promise<readonly string[]> {
  const { stdout } = await tryCommand('cat', ['/proc/self/mountinfo'])
  return [
    ...(await listNamespaces(name)),
    ...findMarked(name).map(({ pid }) => `process ${pid}`),
    ...stdout.split('\n').filter((line) => line.includes(`/culvert-lab/${name}/`)),
    ...[`/run/culvert-lab/${name}`, join(stateDir, name)].filter(existsSync),
  ]
}

t.test('a lab without a mesh', async (t) => {
  const lab = { name: `t${process.pid}a`, stateDir }
  t.teardown(() => downLab(lab))
  await upLab({ ...lab, topology, processes: 'workloads' })

  await t.test('workloads of different hosts reach each other over the wire, IPv4 and IPv6', async (t) => {
    for (const address of ['10.88.2.1', '[fd88:0:0:2::1]']) {
      const report = await loadFrom(lab, 'client.shop', { url: `http://${address}:8080/`, count: 1 })
      t.match(report, { succeeded: 1, failed: 0 })
      t.match(JSON.parse(report.first ?? ''), { namespace: 'shop', pod: 'echo', node: 'h2' })
    }
  })

  await t.test(
    'a command has the resolver of its workload, passes its exit code on, and knows no other workload',
    async (t) => {
      const { stdout } = await execInWorkload(lab, 'client', ['cat', '/etc/resolv.conf'])
      t.match(
        stdout,
        /^nameserver 10\.88\.0\.1\nsearch shop\.svc\.cluster\.local svc\.cluster\.local cluster\.local\noptions ndots:5/,
      )
      t.notMatch(await runCommand('cat', ['/etc/resolv.conf']), '10.88.0.1', "the machine's file is untouched")
      t.equal((await execInWorkload(lab, 'idle.shop', ['sh', '-c', 'exit 7'])).code, 7)
      await t.rejects(execInWorkload(lab, 'nobody.shop', ['true']), { message: /the lab has echo\.shop/ })
    },
  )

  await t.test('a process that dies comes back, and its restarts are counted', async (t) => {
    const before = killUnit(lab, 'echo.shop')
    const after = await waitRestarted(lab, 'echo.shop', before)
    t.not(after.pid, before.pid)
    t.match(
      labStatus(lab).processes.find(({ name }) => name === 'echo.shop'),
      { restarts: 1, lastExit: 'signal SIGKILL' },
    )
    await stopUnit(lab, 'echo.shop')
    t.equal(unitProcess(lab, 'echo.shop'), undefined)
    releaseUnit(lab, 'echo.shop')
    await waitRestarted(lab, 'echo.shop', undefined)
    await waitUntil('echo answers', () => echoAnswers(lab), 10_000)
  })

  await t.test('a capture of the wire sees every byte between the hosts', async (t) => {
    const capture = await captureWire(lab)
    const url = 'http://10.88.2.1:8080/bytes?n=20000000&fill=marker-0123456789'
    t.match(await loadFrom(lab, 'client.shop', { url, count: 1 }), { succeeded: 1 })
    const summary = await capture.stop(['marker-0123456789', 'marker-absent'])
    t.equal(summary.dropped, 0)
    const conversation = summary.conversations.find(({ port }) => port === 8080)
    t.ok((conversation?.payloadBytes ?? 0) > 20_000_000)
    t.ok((summary.markers['marker-0123456789'] ?? 0) > 1_000_000)
    t.equal(summary.markers['marker-absent'], 0)
    t.notOk(existsSync(capture.file))
  })

  await t.test('a second lab of that name is refused, one of another name stands beside it', async (t) => {
    await t.rejects(upLab({ ...lab, topology, processes: 'none' }), { code: 'LAB_FAILED', message: /exists already/ })
    const other = { name: `t${process.pid}b`, stateDir }
    t.teardown(() => downLab(other))
    await upLab({ ...other, topology, processes: 'workloads' })
    t.match(await loadFrom(other, 'client.shop', { url: 'http://10.88.2.1:8080/', count: 1 }), { succeeded: 1 })
    await downLab(other)
    t.same(await traces(other.name), [])
    t.ok(await echoAnswers(lab), 'the first lab is untouched')
  })

  await t.test(
    'after a crash of the supervisor every trace is removed, and a second time nothing is found',
    async (t) => {
      const supervisor = readSupervisor(labPaths(lab))!.supervisor
      process.kill(supervisor.pid, 'SIGKILL')
      t.ok((await traces(lab.name)).length > 0)
      t.match(await downLab(lab), { found: true, namespaces: 6 })
      t.same(await traces(lab.name), [])
      t.match(await downLab(lab), { found: false, namespaces: 0, processes: 0, mounts: 0 })
      t.throws(() => labStatus(lab), { code: 'RESOURCE_NOT_FOUND' })
    },
  )
})

async function echoAnswers(lab: { readonly name: string; readonly stateDir: string }): Promise<boolean> {
  try {
    const { netns } = labStatus(lab).workloads.find(({ name }) => name === 'echo')!
    return (await getInside(netns, { address: '127.0.0.1', port: 8080, path: '/health' })).status === 200
  } catch {
    return false
  }
}

t.test('a lab that cannot become ready says why, and is removed', async (t) => {
  const lab = { name: `t${process.pid}c`, stateDir }
  const busy = parseTopology('hosts: [h1]\nworkloads: [{name: e, host: h1, echo: {}}]', 'x')
  const error = await t.rejects(upLab({ ...lab, topology: busy, processes: 'workloads', timeoutMs: 1 }), {
    code: 'LAB_FAILED',
  })
  t.match((error as MeshError).message, /echo e\.default is not ready: [\s\S]*e\.default\.log[\s\S]*has been removed/)
  t.same(await traces(lab.name), [])
})

t.test('a lab that is interrupted while it is built is removed, whichever signal it was', async (t) => {
  const file = join(stateDir, 'interrupted.yaml')
  writeFileSync(file, 'hosts: [h1]\nworkloads: [{name: e, host: h1, run: sleep infinity}]')
  const main = new URL('../../cli/main.ts', import.meta.url).pathname
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const name = `t${process.pid}${signal.slice(3).toLowerCase()}`
    t.teardown(() => downLab({ name, stateDir }))
    const words = [main, 'lab', 'up', '--name', name, '--state-dir', stateDir, '-f', file]
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      if (!said.includes('starting') && String(chunk).includes('starting')) child.kill(signal)
      said += String(chunk)
    })
    const ended = await new Promise((resolve) => child.once('close', (code) => resolve(code)))
    t.equal(ended, 1, signal)
    t.match(said, /interrupted\n\(what was built has been removed\)/)
    t.same(await traces(name), [], signal)
  }
})

t.test('a lab with bad resources is refused before anything is built', async (t) => {
  const file = join(stateDir, 'bad.yaml')
  writeFileSync(file, 'apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {prots: []}\n')
  const lab = { name: `t${process.pid}d`, stateDir }
  await t.rejects(upLab({ ...lab, topology, resources: [file] }), {
    code: 'RESOURCE_INVALID',
    message: /bad\.yaml:4:8/,
  })
  t.same(await traces(lab.name), [])
})

t.test('a lab with a mesh', async (t) => {
  const lab = { name: `t${process.pid}m`, stateDir }
  t.teardown(() => downLab(lab))
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', labels: { 'culvert.dev/dataplane-mode': 'ambient' } },
  }
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'echo', namespace: 'shop' },
    spec: { selector: { app: 'echo' }, ports: [{ port: 8080 }] },
  }
  const up = await upLab({ ...lab, topology, objects: [namespace, service] })

  await t.test('enrolled workloads are captured when it is up, and talk by name through the tunnel', async (t) => {
    const capture = await captureWire(lab)
    const url = 'http://echo:8080/?secret=marker-in-the-tunnel'
    t.match(await loadFrom(lab, 'client.shop', { url, count: 20, fresh: true }), { succeeded: 20, failed: 0 })
    const summary = await capture.stop(['marker-in-the-tunnel'])
    t.same(summary.markers, { 'marker-in-the-tunnel': 0 })
    const ports = summary.conversations.filter(({ protocol }) => protocol === 'tcp').map(({ port }) => port)
    t.ok(ports.includes(15008))
    t.notOk(ports.includes(8080))
  })

  await t.test('control comes back at its place, so that kubeconfigs stay right', async (t) => {
    const { api } = labStatus(lab).control
    const before = killUnit(lab, 'control')
    await waitRestarted(lab, 'control', before)
    const client = labClient(up)
    t.teardown(() => client.close())
    await waitUntil(
      'all is well again',
      async () => {
        try {
          const view = await meshView(client)
          return (
            up.plan.workloads.every((workload) => isCaptured(workload, view)) &&
            [...view.hosts.values()].every(({ connected }) => connected)
          )
        } catch {
          return false
        }
      },
      20_000,
    )
    t.equal(labStatus(lab).control.api, api)
  })

  await t.test('agent and daemon run inside their host', async (t) => {
    const [host] = labStatus(lab).hosts
    const { stdout } = await tryCommand('ip', ['netns', 'pids', host!.netns])
    const inside = stdout.split('\n').map(Number)
    t.ok(inside.includes(host!.pids['agent']!) && inside.includes(host!.pids['daemon']!))
    t.match(await execOnHost(lab, 'h1', ['ip', '-o', 'addr']), { code: 0, stdout: /10\.88\.0\.1\/24/ })
  })

  await t.test('nothing of it is left when it is down', async (t) => {
    t.match(await downLab(lab), { found: true, namespaces: 6 })
    t.same(await traces(lab.name), [])
  })
})
